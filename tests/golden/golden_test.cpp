#include <doctest/doctest.h>

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/rms_norm.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace isofold;

namespace {

struct Golden {
  const char* name;
  RmsNormOptions options;
  const char* schedule;
  const char* arch;
};

RmsNormOptions make(std::int64_t n, DType dtype, bool residual, ResidualMode sum = ResidualMode::f32_sum,
                    WeightMode weight = WeightMode::f32) {
  RmsNormOptions options;
  options.n = n;
  options.dtype = dtype;
  options.residual = residual;
  options.residual_mode = sum;
  options.weight_mode = weight;
  return options;
}

const std::vector<Golden> goldens{
    {"registers", make(8192, DType::bf16, true),
     "gpu threads=512 rows=1 blocks=1 split=none staging=registers vector=8 weights=early memory=streaming launch=dependent resident=2", "sm_90"},
    {"rows_per_block", make(256, DType::f16, false),
     "gpu threads=32 rows=8 blocks=1 split=none staging=registers vector=8 weights=late memory=streaming launch=plain resident=1", "sm_80"},
    {"sub_warp", make(64, DType::f32, false),
     "gpu threads=8 rows=16 blocks=1 split=none staging=registers vector=4 weights=late memory=cached launch=plain resident=1", "sm_80"},
    {"shared", make(16384, DType::bf16, true, ResidualMode::rounded_sum, WeightMode::after_cast),
     "gpu threads=256 rows=1 blocks=1 split=none staging=shared vector=8 weights=late memory=streaming launch=dependent resident=1", "sm_90"},
    {"reread", make(16384, DType::f32, true),
     "gpu threads=1024 rows=1 blocks=1 split=none staging=reread vector=4 weights=late memory=streaming launch=plain resident=1", "sm_80"},
    {"cluster", make(16384, DType::bf16, true),
     "gpu threads=256 rows=1 blocks=8 split=cluster staging=registers vector=8 weights=early memory=streaming launch=dependent resident=1", "sm_90"},
    {"workspace", make(16384, DType::bf16, true),
     "gpu threads=256 rows=1 blocks=4 split=workspace staging=reread vector=8 weights=late memory=streaming launch=plain resident=1", "sm_80"},
    {"odd_row", make(515, DType::bf16, true),
     "gpu threads=64 rows=4 blocks=1 split=none staging=registers vector=1 weights=late memory=cached launch=plain resident=1", "sm_80"},
};

CudaSource source_of(const Golden& golden) {
  const Spec spec = rms_norm(golden.options);
  return emit_cuda(make_plan(spec, default_fold(spec), parse_schedule(golden.schedule), *traits_of_arch(golden.arch)).value());
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Candidate schedules in order, with the default fold: what a tuning table may choose from.
std::string candidate_table() {
  std::string out;
  for (const std::int64_t n : {100, 4096, 8192}) {
    const Spec spec = rms_norm(make(n, DType::bf16, true));
    for (const char* arch : {"sm_80", "sm_90"}) {
      out += text(spec) + " | " + text(default_fold(spec)) + " | " + arch + "\n";
      for (const Plan& plan : candidates(spec, default_fold(spec), *traits_of_arch(arch))) out += "  " + text(plan.gpu()) + "\n";
    }
  }
  return out;
}

void compare(const std::string& file, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(ISOFOLD_GOLDEN_FOLDER) / file;
  if (std::getenv("ISOFOLD_GOLDEN_COLLECT")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  CAPTURE(path.string());
  CHECK_MESSAGE(read(path) == text, "differs; if it should, run ISOFOLD_GOLDEN_COLLECT=1 golden_cuda and read the difference");
}

std::string all_digests() {
  std::string out;
  for (const Golden& golden : goldens) out += digest(source_of(golden).text) + "\n";
  return out;
}

}  // namespace

TEST_CASE("generated CUDA text is the golden text") {
  for (const Golden& golden : goldens) compare(std::string(golden.name) + ".cu", source_of(golden).text);
}

TEST_CASE("candidates are the golden candidates") { compare("candidates.txt", candidate_table()); }

TEST_CASE("a fresh process emits the same bytes") {
  // The child is this very program with only the next test case, which prints the digests.
  const std::string command = std::filesystem::read_symlink("/proc/self/exe").string() +
                              " --no-version --no-skip --test-case='print digests'";
  std::FILE* child = popen(command.c_str(), "r");
  REQUIRE(child != nullptr);
  std::string out;
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, child)) out += buffer;
  CHECK(pclose(child) == 0);
  CHECK(out.find(all_digests()) != std::string::npos);
}

TEST_CASE("print digests" * doctest::skip()) { std::printf("%s", all_digests().c_str()); }
