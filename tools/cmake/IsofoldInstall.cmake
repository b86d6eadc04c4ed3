# Install rules of the libraries, headers, tables and the command; `find_package(isofold)` and pkg-config find what they install.
# Three components, each a Debian package of its own: what programs load (library), what they are built with (development), and
# the command with what is for people (command).
include(CMakePackageConfigHelpers)

# What a static library leaves to whoever links it. Header-only libraries were used up in the build.
set(isofold_llvm_file "")
if(NOT BUILD_SHARED_LIBS)
  target_link_libraries(isofold_codegen PRIVATE $<INSTALL_INTERFACE:fmt::fmt>)
  target_link_libraries(isofold_runtime PRIVATE $<INSTALL_INTERFACE:fmt::fmt>)
  if(ISOFOLD_LLVM_VERSION)
    target_link_libraries(isofold_codegen PRIVATE $<INSTALL_INTERFACE:isofold::llvm_library>)
    get_filename_component(isofold_llvm_file "${ISOFOLD_LLVM_LIBRARY}" NAME)
    get_filename_component(isofold_llvm_folder "${ISOFOLD_LLVM_LIBRARY}" DIRECTORY)
    get_filename_component(isofold_llvm_name "${ISOFOLD_LLVM_LIBRARY}" NAME_WE)
    string(REGEX REPLACE "^lib" "" isofold_llvm_name "${isofold_llvm_name}")
  endif()
else()
  set_target_properties(isofold_runtime_shared PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()

function(isofold_install_headers target folder)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${folder}/*.hpp" "${folder}/*.h")
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${folder}" FILES ${headers})
endfunction()
isofold_install_headers(${isofold_codegen_public} "${PROJECT_SOURCE_DIR}/codegen/include")
isofold_install_headers(${isofold_runtime_public} "${PROJECT_SOURCE_DIR}/runtime/include")
isofold_install_headers(isofold_c "${PROJECT_SOURCE_DIR}/runtime/c/include")

# The C library apart from the others: who links it needs none of their dependencies.
set(isofold_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/isofold")
foreach(set_and_targets IN ITEMS "isofoldTargets ${isofold_codegen_public} ${isofold_runtime_public}" "isofoldCTargets isofold_c")
  string(REPLACE " " ";" targets "${set_and_targets}")
  list(POP_FRONT targets export)
  install(TARGETS ${targets} EXPORT ${export}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library NAMELINK_COMPONENT development
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT library
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
  install(EXPORT ${export} NAMESPACE isofold:: DESTINATION "${isofold_package_folder}" COMPONENT development)
endforeach()
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/isofoldConfig.cmake.in" "${PROJECT_BINARY_DIR}/isofoldConfig.cmake"
                              INSTALL_DESTINATION "${isofold_package_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/isofoldConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/isofoldConfig.cmake" "${PROJECT_BINARY_DIR}/isofoldConfigVersion.cmake"
        DESTINATION "${isofold_package_folder}" COMPONENT development)

# pkg-config: folders relative to the .pc file, so that the whole may be moved.
file(RELATIVE_PATH isofold_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" isofold_pc_prefix "\${pcfiledir}/${isofold_pc_prefix}")
set(isofold_pc_requires "")
set(isofold_pc_libs "")
if(NOT BUILD_SHARED_LIBS)
  set(isofold_pc_requires "fmt")
  set(isofold_pc_libs "-pthread -ldl")
  if(isofold_llvm_file)
    string(PREPEND isofold_pc_libs "-L${isofold_llvm_folder} -l${isofold_llvm_name} ")
  endif()
endif()
foreach(name IN ITEMS isofold isofold-runtime)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
endforeach()

if(TARGET isofold_command)
  install(TARGETS isofold_command RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT command)
endif()
if(TARGET isofold_reference)
  set(isofold_reference_folder "${PROJECT_BINARY_DIR}/tools/reference")
  install(FILES "${isofold_reference_folder}/isofold.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT command)
  install(FILES "${isofold_reference_folder}/isofold" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT command)
  install(FILES "${isofold_reference_folder}/_isofold" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" COMPONENT command)
  install(FILES "${isofold_reference_folder}/isofold.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" COMPONENT command)
endif()
# What is for people, also where the command is not built. The libraries have the tables built in.
set(isofold_for_people command)
if(NOT TARGET isofold_command)
  set(isofold_for_people development)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/runtime/tables" DESTINATION "${CMAKE_INSTALL_DATADIR}/isofold" COMPONENT ${isofold_for_people} OPTIONAL
        FILES_MATCHING PATTERN "*.jsonl")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright COMPONENT ${isofold_for_people})
install(FILES "${PROJECT_SOURCE_DIR}/README.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT ${isofold_for_people})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT ${isofold_for_people})
