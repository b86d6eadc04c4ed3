#include "kernels.hpp"

#include <cstdio>
#include <fstream>
#include <mutex>
#include <stdexcept>

#include "support/temporary_folder.hpp"

namespace isofold::software_gpu {
namespace {

using cuda::CUresult;

constexpr int portable_cluster_blocks = 8, most_cluster_blocks = 16;

std::mutex mutex;  // one launch at a time: a shared object's kernels run in one thread
thread_local std::string fault;

CUresult run(const simt::HostLibrary& library, const std::string& name, simt::Launch launch,
             std::vector<std::vector<std::byte>>& values, const std::vector<simt::GlobalRange>& memory) {
  std::vector<void*> arguments;
  for (std::vector<std::byte>& value : values) arguments.push_back(value.data());
  const std::lock_guard lock(mutex);
  static simt::Scheduler scheduler;
  library.bind(launch, 0, name);
  const std::string found = scheduler.run(launch, arguments.data(), {}, memory);
  if (found.empty()) return cuda::CUDA_SUCCESS;
  fault = name + ": " + found;
  std::fprintf(stderr, "software GPU: %s\n", fault.c_str());
  return launch_failed;
}

}  // namespace

std::shared_ptr<const simt::HostLibrary> load_kernels(std::string_view host_code) {
  // A file of its own name: the loader gives back what it already has under a name.
  const testing::TemporaryFolder folder;
  const std::string path = folder / "kernels.so";
  std::ofstream file(path, std::ios::binary);
  file.write(host_code.data(), static_cast<std::streamsize>(host_code.size()));
  file.close();
  if (!file) throw std::runtime_error("kernels cannot be written to " + path);
  return std::make_shared<const simt::HostLibrary>(path);
}

CUresult make_launch(const Function& function, const cuda::CUlaunchConfig& config, void** arguments,
                     const std::function<std::vector<simt::GlobalRange>()>& memory, Work& work) {
  simt::Launch launch;
  launch.blocks = config.gridDimX;
  launch.block_threads = config.blockDimX;
  launch.dynamic_shared_bytes = config.sharedMemBytes;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cuda::CUlaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cuda::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) launch.cluster_blocks = attribute.value.clusterDim.x;
    if (attribute.id == cuda::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
      launch.dependent = attribute.value.programmaticStreamSerializationAllowed != 0;
  }
  const unsigned most_cluster = static_cast<unsigned>(function.large_clusters ? most_cluster_blocks : portable_cluster_blocks);
  if (launch.blocks == 0 || launch.block_threads == 0 || launch.block_threads > 1024 || config.gridDimY != 1 || config.gridDimZ != 1 ||
      config.blockDimY != 1 || config.blockDimZ != 1 || launch.cluster_blocks == 0 || launch.cluster_blocks > most_cluster ||
      launch.blocks % launch.cluster_blocks != 0 || launch.dynamic_shared_bytes > static_cast<std::size_t>(function.most_dynamic_shared_bytes))
    return cuda::CUDA_ERROR_INVALID_VALUE;
  std::vector<std::vector<std::byte>> values;
  for (const std::size_t bytes : function.library->parameter_bytes(0, function.name)) {
    const auto* value = static_cast<const std::byte*>(arguments[values.size()]);
    values.emplace_back(value, value + bytes);
  }
  work = [library = function.library, name = function.name, launch, values, memory]() mutable {
    return run(*library, name, launch, values, memory());
  };
  return cuda::CUDA_SUCCESS;
}

const std::string& last_fault() { return fault; }

}  // namespace isofold::software_gpu
