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
