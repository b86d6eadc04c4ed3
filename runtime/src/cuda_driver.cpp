#include "cuda_driver.hpp"

#include <fmt/format.h>

#include <utility>

#include "process.hpp"

namespace isofold {

using namespace cuda;

namespace {

constexpr int oldest_driver = 12000;

}  // namespace

std::shared_ptr<const Driver> Driver::open(const std::optional<std::string>& path) {
  const std::string what = "the CUDA driver (install the NVIDIA driver, or name the library in ISOFOLD_CUDA)";
  return std::shared_ptr<const Driver>(
      new Driver(DynamicLibrary::first_of({path.value_or("libcuda.so.1")}, what)));
}

Driver::Driver(DynamicLibrary library) : library_(std::move(library)) {
#define ISOFOLD_CUDA_RESOLVE(symbol, parameters) library_.get(api_.symbol, #symbol);
  ISOFOLD_CUDA_FUNCTIONS(ISOFOLD_CUDA_RESOLVE)
#undef ISOFOLD_CUDA_RESOLVE
  func_load_ = reinterpret_cast<FuncLoad>(library_.find("cuFuncLoad"));
  const CUresult initialised = api_.cuInit(0);
  if (initialised == CUDA_ERROR_STUB_LIBRARY)
    throw UsageError(library_path() +
                     " is the toolkit's stub for linking, not the driver; leave it out of the library path");
  check(initialised, "cuInit");
  check(api_.cuDriverGetVersion(&version_), "cuDriverGetVersion");
  if (version_ < oldest_driver)
    throw UsageError(fmt::format("the NVIDIA driver {} supports CUDA {}.{}; 12.0 or newer is needed",
                                 library_path(), version_ / 1000, version_ % 1000 / 10));
}

std::string Driver::describe(CUresult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (api_.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) name = "unknown CUDA error";
  if (api_.cuGetErrorString(result, &text) != CUDA_SUCCESS || text == nullptr) text = "no description";
  return fmt::format("{} ({}): {}", name, static_cast<unsigned>(result), text);
}

void Driver::fail(CUresult result, const char* what) const {
  throw UsageError(fmt::format("{}: {}", what, describe(result)));
}

int Driver::device_count() const {
  int count = 0;
  check(api_.cuDeviceGetCount(&count), "cuDeviceGetCount");
  return count;
}

int Driver::attribute(CUdevice_attribute attribute, CUdevice device) const {
  int value = 0;
  check(api_.cuDeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute");
  return value;
}

DeviceInfo Driver::device(int ordinal) const {
  const int count = device_count();
  if (ordinal < 0 || ordinal >= count)
    throw UsageError(fmt::format(
        "there is no device cuda:{}; this process sees {} CUDA device(s), counted from 0", ordinal, count));
  CUdevice device = 0;
  check(api_.cuDeviceGet(&device, ordinal), "cuDeviceGet");
  char name[256] = {};
  check(api_.cuDeviceGetName(name, sizeof name - 1, device), "cuDeviceGetName");

  DeviceInfo info;
  info.name = name;
  check(api_.cuDeviceTotalMem_v2(&info.memory_bytes, device), "cuDeviceTotalMem");
  const auto get = [&](CUdevice_attribute which) { return attribute(which, device); };
  const auto get_bytes = [&](CUdevice_attribute which) {
    return static_cast<std::size_t>(attribute(which, device));
  };
  info.arch = 10 * get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
              get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  info.sm_count = get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  info.max_threads_per_sm = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
  info.registers_per_sm = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
  info.shared_bytes_per_sm = get_bytes(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  info.max_shared_bytes_per_block = get_bytes(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  info.l2_bytes = get_bytes(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  return info;
}

Context::Context(std::shared_ptr<const Driver> driver, int ordinal)
    : driver_(std::move(driver)), info_(driver_->device(ordinal)), process_generation_(process_generation()) {
  driver_->check(api().cuDeviceGet(&device_, ordinal), "cuDeviceGet");
  driver_->check(api().cuDevicePrimaryCtxRetain(&handle_, device_), "cuDevicePrimaryCtxRetain");
}

// Failures are ignored here and in every other destructor: at process exit the driver may already be gone.
Context::~Context() {
  if (!forked()) api().cuDevicePrimaryCtxRelease_v2(device_);
}

bool Context::forked() const { return process_generation_ != process_generation(); }

void Context::check_process() const {
  if (forked()) [[unlikely]]
    throw UsageError(fmt::format("{} was opened before this process was forked, and CUDA does not work in a child process: "
                                 "make the Runtime in the process that uses it",
                                 info_.name));
}

void Context::synchronize() const {
  const CurrentContext current(*this);
  driver_->check(api().cuCtxSynchronize(), "cuCtxSynchronize");
}

std::size_t Context::free_memory() const {
  const CurrentContext current(*this);
  std::size_t free = 0;
  std::size_t total = 0;
  driver_->check(api().cuMemGetInfo_v2(&free, &total), "cuMemGetInfo");
  return free;
}

CurrentContext::CurrentContext(const Context& context) : api_(context.api()) {
  context.check_process();
  context.driver().check(api_.cuCtxGetCurrent(&previous_), "cuCtxGetCurrent");
  if (previous_ == context.handle()) return;
  context.driver().check(api_.cuCtxSetCurrent(context.handle()), "cuCtxSetCurrent");
  changed_ = true;
}

CurrentContext::~CurrentContext() {
  if (changed_) api_.cuCtxSetCurrent(previous_);
}

}  // namespace isofold
