#pragma once
// What differs between LLVM 15 and 20: headers that moved and enumerations that were renamed.
#include <llvm/ADT/StringMap.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Target/TargetMachine.h>
#if LLVM_VERSION_MAJOR >= 17
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>
#else
#include <llvm/ADT/Triple.h>
#include <llvm/Support/Host.h>
#endif

namespace isofold::versions {

#if LLVM_VERSION_MAJOR >= 18
inline constexpr auto object_file = llvm::CodeGenFileType::ObjectFile;
inline constexpr auto assembly_file = llvm::CodeGenFileType::AssemblyFile;
inline constexpr auto optimized = llvm::CodeGenOptLevel::Default;
#else
inline constexpr auto object_file = llvm::CGFT_ObjectFile;
inline constexpr auto assembly_file = llvm::CGFT_AssemblyFile;
inline constexpr auto optimized = llvm::CodeGenOpt::Default;
#endif

inline llvm::StringMap<bool> host_features() {
#if LLVM_VERSION_MAJOR >= 19
  return llvm::sys::getHostCPUFeatures();
#else
  llvm::StringMap<bool> features;
  llvm::sys::getHostCPUFeatures(features);
  return features;
#endif
}

}  // namespace isofold::versions
