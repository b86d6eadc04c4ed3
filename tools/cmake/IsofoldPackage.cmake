# `cpack` makes isofold-<version>-Linux.tar.gz of all that is installed, and three Debian packages: libisofold<interface version>,
# libisofold-dev and isofold. -DCPACK_PACKAGE_CONTACT="Name <address>" says who maintains them.
set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME isofold)
set(CPACK_PACKAGE_VENDOR "Isofold")
if(NOT CPACK_PACKAGE_CONTACT)
  set(CPACK_PACKAGE_CONTACT "The Isofold authors")
endif()
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_RESOURCE_FILE_README "${PROJECT_SOURCE_DIR}/README.md")
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL library development)
if(TARGET isofold_command)
  list(APPEND CPACK_COMPONENTS_ALL command)
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE isofold)
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/debian_files.cmake")
# Each package's own first line stands for the one that CPack would put above all of them.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(isofold_about "Isofold generates kernels for reductions of rows on NVIDIA GPUs and on the CPU:
RMSNorm, LayerNorm, softmax, sums and the like. Their results have the same
bits for every batch size, schedule and device, because the reduction tree is
a part of what is computed.
.
")
# The packages of the libraries that were linked; without dpkg-dev the packages name none.
find_program(ISOFOLD_DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(ISOFOLD_DPKG_SHLIBDEPS)
if(ISOFOLD_DPKG_SHLIBDEPS)
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
endif()

# All libraries have the same interface version, so they change their names together: one package for all of them.
get_target_property(isofold_interface_version isofold_c SOVERSION)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME "libisofold${isofold_interface_version}")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "Batch-invariant reductions on GPUs and CPUs (library)
${isofold_about}This package has the shared library that programs load.")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/debian/triggers" CONTENT "activate-noawait ldconfig\n" @ONLY)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${PROJECT_BINARY_DIR}/debian/triggers")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libisofold-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${CPACK_DEBIAN_LIBRARY_PACKAGE_NAME} (= ${PROJECT_VERSION})")
if(NOT BUILD_SHARED_LIBS)  # what a program needs that links the static C++ libraries
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libfmt-dev")
  if(ISOFOLD_LLVM_VERSION AND ISOFOLD_LLVM_VERSION VERSION_LESS 18)  # later ones have the link's file beside the library
    string(REGEX MATCH "^[0-9]+" isofold_llvm_major "${ISOFOLD_LLVM_VERSION}")
    set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS "llvm-${isofold_llvm_major}-dev")
  endif()
endif()
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "Batch-invariant reductions on GPUs and CPUs (development files)
${isofold_about}This package has what programs are built with: the headers of the C and the C++
API, the C++ libraries, and the files by which CMake and pkg-config find them.")

# Debian's folder for one architecture is what -DCMAKE_INSTALL_PREFIX=/usr gives: those of several may be installed side by side.
if(CMAKE_LIBRARY_ARCHITECTURE AND CMAKE_INSTALL_LIBDIR STREQUAL "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_MULTIARCH same)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_MULTIARCH same)
endif()

# The command has the libraries built in and needs no other package of these.
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME isofold)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS "libisofold-dev")
set(CPACK_DEBIAN_COMMAND_DESCRIPTION "Batch-invariant reductions on GPUs and CPUs (command)
${isofold_about}This package has the command that tunes, inspects, verifies and benchmarks the
kernels, its manual page, what shells complete with, and tuning tables to read.")

include(CPack)
