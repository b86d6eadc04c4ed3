# Run by cpack before it makes the packages: what Debian wants in every package beside what is installed anywhere, that is a
# copyright file and a changelog by the package's name, and compressed manual pages.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
find_program(ISOFOLD_GZIP gzip REQUIRED)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER "${component}" name)
  set(folder "${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share")
  set(documents "${folder}/doc/${CPACK_DEBIAN_${name}_PACKAGE_NAME}")
  file(WRITE "${documents}/copyright"
       "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: isofold\n\n"
       "Files: *\nCopyright: 2026 The Isofold authors\nLicense: Apache-2.0\n"
       " On Debian systems the text of the Apache License, Version 2.0, is in\n /usr/share/common-licenses/Apache-2.0.\n")
  file(WRITE "${documents}/changelog"
       "isofold (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n  * Release ${CPACK_PACKAGE_VERSION}.\n\n"
       " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
  file(GLOB pages "${folder}/man/man*/*.[1-9]")
  execute_process(COMMAND "${ISOFOLD_GZIP}" --force --best --no-name "${documents}/changelog" ${pages} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
