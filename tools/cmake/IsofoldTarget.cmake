# Settings that every target of the project shares.

# isofold_target(<target>): C++20, warnings, hidden symbols, and no contraction of a * b + c anywhere:
# the bits of a result never depend on what the host compiler fuses.
function(isofold_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -ffp-contract=off
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # GCC 12 warns about std::string's own code (bug 105329)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  if(ISOFOLD_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${ISOFOLD_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${ISOFOLD_SANITIZE})
  endif()
endfunction()

# isofold_exports(<target> <symbols file>): a shared library that exports what the file lists, and has the project's version.
function(isofold_exports target symbols)
  # Before 1.0 a minor version may change what a program sees: structures of the C++ API grow.
  set(interface_version "${PROJECT_VERSION_MAJOR}")
  if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(interface_version "0.${PROJECT_VERSION_MINOR}")
  endif()
  target_link_options(${target} PRIVATE "LINKER:--version-script=${symbols}")
  set_target_properties(${target} PROPERTIES
    LINK_DEPENDS "${symbols}" VERSION ${PROJECT_VERSION} SOVERSION ${interface_version})
endfunction()

# isofold_library(<name> <objects>...): the library isofold_<name>, made of object libraries. Inside this tree it is always
# static, because the command and the tests use internals. With BUILD_SHARED_LIBS the same objects make
# isofold_<name>_shared, which then is what isofold::<name> means and what is installed; the tests want it in any case.
# Sets isofold_<name>_variants to those that there are, and isofold_<name>_public to the one that is installed.
function(isofold_library name)
  set(variants isofold_${name})
  add_library(isofold_${name} STATIC)
  if(BUILD_SHARED_LIBS OR ISOFOLD_BUILD_TESTS)
    list(APPEND variants isofold_${name}_shared)
    add_library(isofold_${name}_shared SHARED)
    isofold_exports(isofold_${name}_shared "${PROJECT_SOURCE_DIR}/tools/cmake/cxx_symbols.map")
    set_target_properties(isofold_${name}_shared PROPERTIES OUTPUT_NAME isofold_${name})
  endif()
  list(GET variants -1 public)
  if(NOT BUILD_SHARED_LIBS)
    list(GET variants 0 public)
  endif()
  foreach(target IN LISTS variants)
    isofold_target(${target})
    foreach(objects IN LISTS ARGN)
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    endforeach()
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} LINKER_LANGUAGE CXX)
    target_include_directories(${target} PUBLIC
      $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endforeach()
  add_library(isofold::${name} ALIAS ${public})
  set(isofold_${name}_variants ${variants} PARENT_SCOPE)
  set(isofold_${name}_public ${public} CACHE INTERNAL "what isofold::${name} is")
endfunction()
