# Install rules of the libraries, headers, tables and the command; `find_package(isofold)` finds what they install.
include(CMakePackageConfigHelpers)

# Shared libraries have no private symbols: the public classes carry no export marks, and the command uses internals.
if(BUILD_SHARED_LIBS)
  set_target_properties(isofold_codegen isofold_llvm isofold_runtime isofold_runtime_base
                        PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
  set_target_properties(isofold_codegen PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
endif()

# What a static library leaves to whoever links it. Header-only libraries were used up in the build.
target_link_libraries(isofold_codegen PRIVATE $<INSTALL_INTERFACE:fmt::fmt>)
target_link_libraries(isofold_runtime PRIVATE $<INSTALL_INTERFACE:fmt::fmt>)
set(isofold_llvm_file "")
get_target_property(isofold_llvm_sources isofold_llvm SOURCES)
if(ISOFOLD_LLVM_LIBRARY AND NOT "without_llvm.cpp" IN_LIST isofold_llvm_sources)
  target_link_libraries(isofold_codegen PRIVATE $<INSTALL_INTERFACE:isofold::llvm_library>)
  get_filename_component(isofold_llvm_file "${ISOFOLD_LLVM_LIBRARY}" NAME)
  get_filename_component(isofold_llvm_folder "${ISOFOLD_LLVM_LIBRARY}" DIRECTORY)
endif()

function(isofold_install_headers target folder)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${folder}/*.hpp")
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${folder}" FILES ${headers})
endfunction()
isofold_install_headers(isofold_codegen "${PROJECT_SOURCE_DIR}/codegen/include")
isofold_install_headers(isofold_runtime "${PROJECT_SOURCE_DIR}/runtime/include")

install(TARGETS isofold_codegen isofold_runtime EXPORT isofoldTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET isofold_command)
  file(RELATIVE_PATH isofold_library_place "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
  set_target_properties(isofold_command PROPERTIES INSTALL_RPATH "$ORIGIN/${isofold_library_place}")
  install(TARGETS isofold_command RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
# The libraries have the tables built in; these are for people.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/runtime/tables" DESTINATION "${CMAKE_INSTALL_DATADIR}/isofold" OPTIONAL
        FILES_MATCHING PATTERN "*.jsonl")

set(isofold_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/isofold")
install(EXPORT isofoldTargets NAMESPACE isofold:: DESTINATION "${isofold_package_folder}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/isofoldConfig.cmake.in" "${PROJECT_BINARY_DIR}/isofoldConfig.cmake"
                              INSTALL_DESTINATION "${isofold_package_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/isofoldConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/isofoldConfig.cmake" "${PROJECT_BINARY_DIR}/isofoldConfigVersion.cmake"
        DESTINATION "${isofold_package_folder}")
