#include "simt/batch.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "simt/host_text.hpp"

namespace isofold::simt {
namespace {

std::string symbol_of(std::size_t source, std::size_t entry) {
  return fmt::format("simt_{}_{}", source, entry);
}

std::string batch_text(const std::vector<CudaSource>& sources) {
  std::string text = "#include \"simt/host_helpers.hpp\"\n";
  text += "extern \"C\" {\nconst SimtHooks* simt_hooks;\nconst SimtThread* simt_current;\n}\n";
  for (std::size_t i = 0; i < sources.size(); ++i) {
    text += fmt::format("namespace source_{} {{\n#line 1 \"{}\"\n{}\n}}\n", i, sources[i].program_name,
                        host_text(sources[i].text));
    for (std::size_t j = 0; j < sources[i].entries.size(); ++j)
      text += fmt::format(
          "extern \"C\" void {}(void** arguments) {{ simt_host::call(source_{}::{}, arguments); }}\n",
          symbol_of(i, j), i, sources[i].entries[j]);
  }
  return text;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string compiler_flags() {
  // Not optimised: compiling takes far longer than running.
  std::string flags =
      "-std=c++20 -O0 -fPIC -shared -ffp-contract=off -Wall -Wunused-const-variable -Wno-unknown-pragmas";
#if defined(__x86_64__)
  if (__builtin_cpu_supports("fma")) flags += " -mfma";
#endif
  return flags;
}

}  // namespace

Batch::Batch(const std::vector<CudaSource>& sources) {
  std::string folder = (std::filesystem::temp_directory_path() / "isofold-simt-XXXXXX").string();
  if (!mkdtemp(folder.data())) throw std::runtime_error("no temporary folder could be made: " + folder);
  folder_ = folder;
  const auto source = folder_ / "batch.cpp", library = folder_ / "batch.so", log = folder_ / "log.txt";
  std::ofstream(source, std::ios::binary) << batch_text(sources);
  const std::string command =
      fmt::format("'{}' {} -I'{}' '{}' -o '{}' >'{}' 2>&1", ISOFOLD_HOST_COMPILER, compiler_flags(),
                  ISOFOLD_TEST_INCLUDE, source.string(), library.string(), log.string());
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error(
        fmt::format("the host compiler refused generated text:\n{}\n{}", command, read(log)));
  warnings_ = read(log);
  library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library_) throw std::runtime_error(fmt::format("a batch cannot be loaded: {}", dlerror()));
}

Batch::~Batch() {
  if (library_) dlclose(library_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string Batch::run(std::size_t source, std::size_t entry, Launch launch, void** arguments,
                       const Order& order, std::span<const GlobalRange> memory) {
  launch.entry = reinterpret_cast<void (*)(void**)>(dlsym(library_, symbol_of(source, entry).c_str()));
  launch.hooks = static_cast<const SimtHooks**>(dlsym(library_, "simt_hooks"));
  launch.current = static_cast<const SimtThread**>(dlsym(library_, "simt_current"));
  return scheduler_.run(launch, arguments, order, memory);
}

std::string run_plan(Batch& batch, std::size_t source, const CudaSource& generated, const Plan& plan,
                     testing::Call& call, const Order& order) {
  call.reset_outputs();
  const GpuShape shape = gpu_shape(plan);
  const std::int64_t tokens = call.tokens();
  testing::HostTensor workspace({.rows = tokens, .n = std::max(4, shape.workspace_bytes_per_row) / 4});
  workspace.fill(testing::RowKind::nan, 99);

  std::vector<void*> pointers;
  std::vector<std::int64_t> numbers;
  std::vector<GlobalRange> memory;
  const auto add = [&](testing::HostTensor& tensor, bool row_extent, bool writable) {
    const std::size_t size = size_of(tensor.dtype());
    pointers.push_back(tensor.data());
    if (row_extent) numbers.push_back(tensor.row_stride());
    memory.push_back({tensor.row(0), static_cast<std::size_t>(tensor.rows()),
                      static_cast<std::size_t>(tensor.n()) * size,
                      static_cast<std::size_t>(tensor.row_stride()) * size, writable});
  };
  for (std::size_t i = 0; i < call.inputs().size(); ++i)
    add(call.inputs()[i], has_stride(plan.spec().inputs[i].extent), false);
  for (testing::HostTensor& output : call.outputs()) add(output, true, true);
  numbers.push_back(tokens);
  const bool has_workspace = plan.gpu().split == Split::workspace;
  void* workspace_data = workspace.data();
  memory.push_back({workspace.row(0), 1, workspace.allocation_bytes(), workspace.allocation_bytes(), true});
  std::vector<void*> arguments;
  for (void*& pointer : pointers) arguments.push_back(&pointer);
  for (std::int64_t& number : numbers) arguments.push_back(&number);
  if (has_workspace) arguments.push_back(&workspace_data);

  Launch launch;
  launch.blocks = grid_blocks(plan, tokens);
  launch.block_threads = static_cast<unsigned>(shape.block_threads);
  launch.cluster_blocks =
      plan.gpu().split == Split::cluster ? static_cast<unsigned>(plan.gpu().blocks_per_row) : 1;
  launch.dynamic_shared_bytes = static_cast<std::size_t>(shape.staging_bytes);
  launch.dependent = plan.gpu().dependent_launch;
  for (std::size_t entry = 0; entry < generated.entries.size(); ++entry)
    if (std::string fault = batch.run(source, entry, launch, arguments.data(), order, memory); !fault.empty())
      return fmt::format("{}: {}", generated.entries[entry], fault);
  if (std::string fault = workspace.broken_canary(); !fault.empty()) return "workspace: " + fault;
  return call.fault();
}

}  // namespace isofold::simt
