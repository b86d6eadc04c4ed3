#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/error.hpp>
#include <isofold/isofold.hpp>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>

#include "commands.hpp"
#include "programs.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"

namespace isofold::tools {
namespace {

/// Collects findings for both forms of the answer.
class Findings {
 public:
  explicit Findings(const Console& console) : console_(console) {}

  void section(const char* title, const char* key) {
    console_.line();
    console_.line("{}", console_.bold(title));
    key_ = key;
    document[key_] = Json::object();
  }
  void good(std::string_view name, std::string_view value, const Json& json) {
    add(console_.good("✓"), name, value, json);
  }
  void note(std::string_view name, std::string_view value, const Json& json) { add(" ", name, value, json); }
  /// Something that is off or absent, and how to get it.
  void off(std::string_view name, std::string_view why, std::string_view remedy) {
    add(console_.bad("✗"), name, why, {{"missing", why}, {"remedy", remedy}});
    console_.line("      {}{}", console_.dim("→ "), remedy);
    ++missing;
  }

  Json document = Json::object();
  int missing = 0;

 private:
  void add(const std::string& mark, std::string_view name, std::string_view value, const Json& json) {
    console_.line("  {} {:<14} {}", mark, name, value);
    document[key_][std::string(name)] = json;
  }

  const Console& console_;
  std::string key_;
};

/// The first line of an error: the rest lists every place that was tried.
std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (constexpr std::string_view announcement = "; tried:"; text.ends_with(announcement))
    text.remove_suffix(announcement.size());
  return std::string(text);
}

void examine_build(Findings& out) {
  out.section("Build", "build");
  out.note("version", version(), version());
  out.note("numerics", fmt::format("version {}", numerics_version), numerics_version);
  out.note("compiler", fmt::format("{}, {}", ISOFOLD_COMPILER, ISOFOLD_BUILD_TYPE),
           {{"compiler", ISOFOLD_COMPILER}, {"build_type", ISOFOLD_BUILD_TYPE}});
}

void examine_cpu(Findings& out) {
  out.section("CPU", "cpu");
  if (llvm_version().empty()) {
    out.off("LLVM", "not built in: there is no CPU backend",
            "install llvm-19-dev (LLVM 15 to 20) and build again; tools/setup.sh does");
    return;
  }
  out.good("LLVM", llvm_version(), llvm_version());
  const DeviceTraits traits = host_cpu_traits();
  out.note(
      "host",
      fmt::format("{}, {} threads, vectors of {} floats", traits.name, traits.threads, traits.vector_width),
      text(traits));
}

/// CUDA major version of the driver, 0 without one.
int examine_gpus(Findings& out, const Settings& settings) {
  out.section("GPU", "gpu");
  std::shared_ptr<const Driver> driver;
  try {
    driver = Driver::open(settings.cuda.value);
  } catch (const UsageError& error) {
    out.off(
        "driver", first_line(error.what()),
        "install NVIDIA's driver (libcuda.so.1), or name the library in ISOFOLD_CUDA; the CPU works without");
    return 0;
  }
  const int major = driver->version() / 1000;
  const std::string driver_version = fmt::format("CUDA {}.{}", major, driver->version() % 1000 / 10);
  out.good("driver", fmt::format("{}, {}", driver_version, driver->library_path()),
           {{"version", driver_version}, {"path", driver->library_path()}});
  for (int ordinal = 0; ordinal < driver->device_count(); ++ordinal) {
    const DeviceInfo info = driver->device(ordinal);
    const std::string name = fmt::format("cuda:{}", ordinal);
    const std::string words = fmt::format(
        "{}, sm_{}, {} multiprocessors, {} memory, {} L2", info.name, info.arch, info.sm_count,
        byte_count(static_cast<double>(info.memory_bytes)), byte_count(static_cast<double>(info.l2_bytes)));
    if (info.arch < min_arch)
      out.off(name, words, fmt::format("too old: sm_{} or later is needed", min_arch));
    else
      out.good(name, words, text(traits_of(info)));
  }
  return major;
}

void examine_compilers(Findings& out, const Settings& settings, int driver_major) {
  try {
    NvrtcSearch search{.path = settings.nvrtc.value,
                       .cuda_roots = settings.cuda_roots,
                       .python_roots = settings.python_roots};
    if (driver_major > 0) search.newest_major = driver_major;
    const auto nvrtc = Nvrtc::open(search);
    out.good("NVRTC", fmt::format("{}, {}", nvrtc->version(), nvrtc->library_path()),
             {{"version", nvrtc->version()},
              {"path", nvrtc->library_path()},
              {"archs", nvrtc->supported_archs()}});
    std::vector<int> archs = nvrtc->supported_archs();
    std::erase_if(archs, [](int arch) { return arch < min_arch; });
    out.note("compiles for", fmt::format("sm_{}", fmt::join(archs, ", sm_")), archs);
  } catch (const UsageError& error) {
    out.off("NVRTC", first_line(error.what()),
            "install a CUDA toolkit of 12 or 13, or `pip install nvidia-cuda-nvrtc`, or name it in "
            "ISOFOLD_NVRTC");
  }
  for (const char* name : {"nvdisasm", "cuobjdump"})
    if (const auto path = find_program(name, cuda_program_folders())) {
      out.good("disassembler", *path, *path);
      return;
    }
  out.off(
      "disassembler", "neither nvdisasm nor cuobjdump",
      "only `inspect --show sass` needs one: packages cuda-nvdisasm or cuda-cuobjdump of the CUDA toolkit");
}

void examine_python(Findings& out) {
  const auto python = find_program("python3");
  const char* script =
      "import importlib.util as u, sys; sys.exit(sum(2**i for i, m in enumerate(('torch', 'triton')) if not "
      "u.find_spec(m)))";
  const int missing = python ? run_program({*python, "-c", script}).status : -1;
  if (missing == 0)
    out.good("baselines", fmt::format("PyTorch and Triton in {}", *python), *python);
  else
    out.off("baselines",
            !python        ? "no python3"
            : missing == 1 ? "PyTorch is missing"
            : missing == 2 ? "Triton is missing"
                           : "PyTorch and Triton are missing",
            "only their lines in `bench` and `chart`, and errors in `accuracy`, need them: pip install torch triton");
}

void examine_cache(Findings& out, const Settings& settings) {
  out.section("Cache", "cache");
  if (!settings.cache.value && settings.cache.source == SettingSource::environment) {
    out.note("folder", "off (ISOFOLD_CACHE): kernels are kept in memory only", nullptr);
    return;
  }
  std::string trouble;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view message) { trouble += message; });
  DiskCache disk(settings.cache.value, log);
  if (!disk.usable()) {
    out.off("folder", trouble.empty() ? "none" : trouble,
            trouble.find("others may write") != trouble.npos
                ? "chmod 700 the folder, once what is in it is known to be yours, or set ISOFOLD_CACHE to another"
                : "set ISOFOLD_CACHE to a folder of your own");
    return;
  }
  out.good("folder", disk.folder(), disk.folder());
  std::uint64_t bytes = 0;
  std::size_t damaged = 0;
  const auto entries = disk.list();
  for (const DiskCache::EntryInfo& entry : entries) bytes += entry.bytes, damaged += !entry.problem.empty();
  out.note("entries", fmt::format("{}, {}", entries.size(), byte_count(static_cast<double>(bytes))),
           entries.size());
  if (damaged > 0)
    out.off("damaged",
            fmt::format("{}, built anew when wanted", counted(static_cast<std::int64_t>(damaged), "entry")),
            "isofold cache prune");
}

/// Variables that look like settings and are none: slips of the pen, which change nothing.
void examine_unknown_variables(Findings& out, const Settings& settings) {
  const std::vector<SettingLine> known = describe(settings);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('='));
    if (name.starts_with("ISOFOLD_") && std::none_of(known.begin(), known.end(), [&](const SettingLine& line) { return line.variable == name; }))
      out.off(name, "no variable of Isofold: it is not read", "correct its name, see below, or unset it");
  }
}

/// What a Runtime with no further options would be, and the tables that it reads.
void examine_runtime(Findings& out, const Settings& settings, const std::string& device) {
  out.section("Runtime", "runtime");
  examine_unknown_variables(out, settings);
  std::optional<Runtime> runtime;
  try {
    runtime = open_runtime(device);
  } catch (const UsageError& error) {
    out.off("device", first_line(error.what()),
            "see above: a GPU with driver and NVRTC, or LLVM for the CPU");
    return;
  }
  out.good("device", fmt::format("{} ({})", runtime->device_name(), runtime->device().name),
           runtime->device_name());
  const TuningTable& table = runtime->impl()->table();
  std::size_t matching = 0;
  for (const TableRecord& record : table.records())
    matching += same_device(parse_device_traits(record.device), runtime->device());
  out.note("tables", fmt::format("{} records, {} of them for this device", table.records().size(), matching),
           {{"records", table.records().size()}, {"matching", matching}});
  const std::string file = runtime->impl()->user_table_file();
  out.note("own table", file.empty() ? "none: there is no usable cache folder" : file, file);
  for (const std::string& warning : table.warnings())
    out.off("table", warning, "correct or remove that line; it is skipped");
}

void examine_settings(Findings& out, const Console& console, const Settings& settings) {
  console.line();
  console.line("{}", console.bold("Settings"));
  Json list = Json::array();
  Table table({"  variable", "value", "from", "meaning"});
  for (const SettingLine& line : describe(settings)) {
    const char* source = line.source == SettingSource::environment ? "environment" : "default";
    table.row({"  " + line.variable, line.value.empty() ? "-" : line.value, source, line.meaning});
    list.push_back(
        {{"variable", line.variable}, {"value", line.value}, {"from", source}, {"meaning", line.meaning}});
  }
  table.print(console);
  out.document["settings"] = list;
}

}  // namespace

int run_doctor(const Console& console, const DoctorArguments& options) {
  const Settings settings = Settings::from_environment();
  Findings out(console);
  console.line("{}", console.bold(fmt::format("isofold {}", version())));
  examine_build(out);
  examine_cpu(out);
  const int driver_major = examine_gpus(out, settings);
  examine_compilers(out, settings, driver_major);
  examine_python(out);
  examine_cache(out, settings);
  examine_runtime(out, settings, options.device);
  examine_settings(out, console, settings);
  out.document["missing"] = out.missing;
  console.document(out.document);
  return exit_ok;
}

}  // namespace isofold::tools
