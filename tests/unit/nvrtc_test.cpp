// Needs NVRTC and no GPU. Without NVRTC the program ends with the exit code that counts as skipped.
#include "nvrtc.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "cubin_usage.hpp"
#include "settings.hpp"
#include "support/temporary_folder.hpp"

using isofold::CompileResult;
using isofold::InternalError;
using isofold::Nvrtc;
using isofold::NvrtcSearch;
using isofold::ResourceUsage;
using isofold::UsageError;

namespace {

const Nvrtc& nvrtc() {
  static const std::shared_ptr<const Nvrtc> compiler = [] {
    const auto settings = isofold::Settings::from_environment();
    try {
      return Nvrtc::open({.path = settings.nvrtc.value,
                          .cuda_roots = settings.cuda_roots,
                          .python_roots = settings.python_roots});
    } catch (const UsageError& error) {
      std::printf("skipped: %s\n", error.what());
      std::exit(77);
    }
  }();
  return *compiler;
}

// One kernel with shared memory and a warning, one that has to spill, one with neither.
const std::string three_kernels = R"(
extern "C" __global__ void __launch_bounds__(256) with_shared(const float* a, float* b) {
  __shared__ float s[300];
  int unused;
  s[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  b[threadIdx.x] = __fmaf_rn(s[255 - threadIdx.x], 2.0f, 1.0f);
}
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(const float* a, float* b) {
  float v[64];
  for (int j = 0; j < 64; ++j) v[j] = a[threadIdx.x + j * 1024];
  __syncthreads();
  float t = 0;
  for (int j = 0; j < 64; ++j) t = t * v[j] + v[63 - j];
  for (int j = 0; j < 64; ++j) b[threadIdx.x + j * 1024] = v[j] * t;
}
extern "C" __global__ void plain(const float* a, float* b) { b[threadIdx.x] = a[threadIdx.x] * 3.0f + 1.0f; }
)";

/// The number right before `words` in `line`; nothing when they do not occur.
std::optional<int> number_before(const std::string& line, const std::string& words) {
  const std::size_t end = line.find(words);
  if (end == std::string::npos) return std::nullopt;
  const std::size_t start = line.find_last_not_of("0123456789", end - 1) + 1;
  return std::stoi(line.substr(start, end - start));
}

/// What ptxas printed, in the form that is read from the cubin.
std::map<std::string, ResourceUsage> printed_usage(const std::string& text) {
  const std::string entry = "Compiling entry function '";
  std::map<std::string, ResourceUsage> usages;
  ResourceUsage* usage = nullptr;
  std::string line;
  for (std::istringstream lines(text); std::getline(lines, line);) {
    if (const std::size_t start = line.find(entry); start != std::string::npos) {
      const std::string name =
          line.substr(start + entry.size(), line.find('\'', start + entry.size()) - start - entry.size());
      usage = &usages[name];
      usage->kernel = name;
    }
    if (usage == nullptr) continue;
    usage->stack_bytes = number_before(line, " bytes stack frame").value_or(usage->stack_bytes);
    usage->registers = number_before(line, " registers").value_or(usage->registers);
    usage->static_shared_bytes = number_before(line, " bytes smem").value_or(usage->static_shared_bytes);
  }
  return usages;
}

}  // namespace

TEST_CASE("what was opened") {
  CHECK(nvrtc().version().size() >= 4);
  CHECK_FALSE(nvrtc().library_path().empty());
  CHECK(nvrtc().target_for(80) == 80);
  CHECK(nvrtc().target_for(90) == 90);
  CHECK(nvrtc().supported_archs().front() < nvrtc().supported_archs().back());
}

TEST_CASE("usage read from the cubin is what ptxas prints, for every arch from sm_80") {
  for (int arch : nvrtc().supported_archs()) {
    if (arch < 80) continue;
    CAPTURE(arch);
    const CompileResult result = nvrtc().compile(three_kernels, "three_kernels.cu", arch);
    const auto printed = printed_usage(result.usage);
    const auto read = isofold::usage_of(result.cubin);
    REQUIRE(read.size() == 3);
    REQUIRE(printed.size() == 3);
    for (const ResourceUsage& usage : read) {
      CAPTURE(usage.kernel);
      const ResourceUsage& truth = printed.at(usage.kernel);
      CHECK(usage.registers == truth.registers);
      CHECK(usage.stack_bytes == truth.stack_bytes);
      CHECK(usage.static_shared_bytes == truth.static_shared_bytes);
    }
    CHECK(isofold::usage_of(result.cubin, "with_shared").static_shared_bytes == 1200);
    CHECK(isofold::usage_of(result.cubin, "spilling").stack_bytes > 0);
    CHECK(isofold::usage_of(result.cubin, "plain").stack_bytes == 0);
    CHECK(result.ptx.find(".target sm_" + std::to_string(arch)) != std::string::npos);
    CHECK(result.ptx.find(".entry with_shared") != std::string::npos);
  }
}

TEST_CASE("warnings are kept, compile times are not, and a product and a sum stay apart") {
  const CompileResult result = nvrtc().compile(three_kernels, "three_kernels.cu", 80);
  CHECK(result.log.find("three_kernels.cu(4): warning #177-D") != std::string::npos);
  CHECK(result.log.find("ptxas") == std::string::npos);
  CHECK(result.usage.find("Compile time") == std::string::npos);
  const std::string plain = result.ptx.substr(result.ptx.find(".entry plain"));
  CHECK(plain.find("mul.rn.f32") != std::string::npos);
  CHECK(plain.find("add.rn.f32") != std::string::npos);
  CHECK(plain.find("fma") == std::string::npos);
  CHECK(nvrtc().compile("extern \"C\" __global__ void k() {}", "k.cu", 80).log.empty());
}

TEST_CASE("compiles in several threads give the bytes of a single one") {
  const CompileResult alone = nvrtc().compile(three_kernels, "three_kernels.cu", 90);
  std::vector<CompileResult> results(4);
  {
    std::vector<std::jthread> threads;
    for (CompileResult& result : results)
      threads.emplace_back([&] { result = nvrtc().compile(three_kernels, "three_kernels.cu", 90); });
  }
  for (const CompileResult& result : results) {
    CHECK(result.cubin == alone.cubin);
    CHECK(result.ptx == alone.ptx);
    CHECK(result.usage == alone.usage);
  }
}

TEST_CASE("a source that does not compile is our bug, with name, options and log") {
  try {
    nvrtc().compile("extern \"C\" __global__ void k() { undeclared = 1; }", "broken.cu", 80);
    FAIL("compiled");
  } catch (const InternalError& error) {
    const std::string message = error.what();
    CHECK(message.find("broken.cu(1): error: identifier \"undeclared\" is undefined") != std::string::npos);
    CHECK(message.find("--gpu-architecture=sm_80 --fmad=false") != std::string::npos);
  }
}

TEST_CASE("an arch that this NVRTC does not know") {
  CHECK_THROWS_AS(nvrtc().compile("", "k.cu", 1), UsageError);
  CHECK_THROWS_AS(nvrtc().target_for(990), UsageError);
  CHECK_THROWS_WITH_AS(nvrtc().target_for(35), doctest::Contains("cannot compile for sm_35; it knows sm_"),
                       UsageError);
}

TEST_CASE("a path that is no NVRTC") {
  CHECK_THROWS_WITH_AS(Nvrtc::open({.path = "/no/such/libnvrtc.so"}),
                       doctest::Contains("/no/such/libnvrtc.so"), UsageError);
  CHECK_THROWS_WITH_AS(Nvrtc::open({.path = "libdl.so.2"}), doctest::Contains("nvrtcVersion"), UsageError);
}

TEST_CASE("an NVRTC that cannot compile for the device is not taken, and the message says which and why") {
  CHECK(Nvrtc::open({.path = nvrtc().library_path(), .device_arch = 90})->target_for(90) == 90);
  for (const bool exact : {true, false}) {
    NvrtcSearch search{.device_arch = 990};
    if (exact) search.path = nvrtc().library_path();
    CHECK_THROWS_WITH_AS(Nvrtc::open(search), doctest::Contains("that compiles for sm_990"), UsageError);
    if (exact)
      CHECK_THROWS_WITH_AS(Nvrtc::open(search), doctest::Contains("cannot compile for sm_990; it knows sm_"),
                           UsageError);
  }
}

TEST_CASE("a library of the search that is no NVRTC is passed over") {
  namespace fs = std::filesystem;
  const isofold::testing::TemporaryFolder folder;
  const std::string& root = folder.path();
  // Two toolkits: what the first has under NVRTC's name is no library.
  for (const char* name : {"broken", "whole"}) fs::create_directories(fs::path(root) / name / "lib64");
  for (const char* soname : {"libnvrtc.so.13", "libnvrtc.so.12"}) {
    std::ofstream(fs::path(root) / "broken/lib64" / soname) << "not a library";
    fs::create_symlink(nvrtc().library_path(), fs::path(root) / "whole/lib64" / soname);
  }
  const auto found = Nvrtc::open({.cuda_roots = {root + "/broken", root + "/whole"}});
  CHECK(found->target_for(90) == 90);
  std::string message;
  try {
    Nvrtc::open({.cuda_roots = {root + "/broken"}, .device_arch = 990});
  } catch (const UsageError& error) {
    message = error.what();
  }
  CHECK(message.find("broken/lib64/libnvrtc.so.12: ") != std::string::npos);
}

TEST_CASE("a cubin that is cut or changed anywhere is read without harm or refused") {
  const std::string cubin = nvrtc().compile(three_kernels, "three_kernels.cu", 90).cubin;
  const auto survives = [](const std::string& bytes) {
    try {
      isofold::usage_of(bytes);
    } catch (const InternalError&) {
    }
  };
  for (std::size_t size = 0; size < cubin.size(); size += 97) survives(cubin.substr(0, size));
  for (std::size_t byte = 0; byte < cubin.size(); byte += 3) {
    std::string changed = cubin;
    changed[byte] = static_cast<char>(changed[byte] ^ 0xff);
    survives(changed);
  }
  CHECK_THROWS_AS(isofold::usage_of("not a cubin at all, and no header of 64 bytes that says so: too bad"),
                  InternalError);
  CHECK_THROWS_AS(isofold::usage_of(cubin, "absent"), InternalError);
}
