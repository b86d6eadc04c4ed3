#include "pytorch_results.hpp"

#include <fmt/format.h>

#include <cstring>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "named_form.hpp"
#include "python_scripts.hpp"

namespace isofold::tools {

std::string PytorchResults::file(std::size_t number, const std::string& tensor) const {
  return fmt::format("{}/{}-{}", folder_.path(), number, tensor);
}

void PytorchResults::add(const Spec& spec, std::int64_t rows,
                         const std::vector<std::vector<std::byte>>& inputs) {
  const NamedOperator* named = named_form(spec, Constants::compared);
  Job job{spec, rows, named ? std::string(named->name) : "",
          named ? "the script said nothing of it"
                : "is asked for named operators with their default options only"};
  if (named)
    for (std::size_t t = 0; t < inputs.size(); ++t)
      write_file_atomically(file(jobs_.size(), spec.inputs[t].name),
                            {reinterpret_cast<const char*>(inputs[t].data()), inputs[t].size()}, "input");
  jobs_.push_back(std::move(job));
}

void PytorchResults::run(bool gpu) {
  Json list = Json::array();
  std::vector<std::size_t> numbers;
  for (std::size_t number = 0; number < jobs_.size(); ++number) {
    const Job& job = jobs_[number];
    if (job.name.empty()) continue;
    Json entry = {{"op", job.name},
                  {"rows", job.rows},
                  {"n", job.spec.n},
                  {"inputs", Json::array()},
                  {"outputs", Json::array()}};
    for (const Tensor& tensor : job.spec.inputs)
      entry["inputs"].push_back({{"name", tensor.name},
                                 {"dtype", name_of(tensor.dtype)},
                                 {"extent", name_of(tensor.extent)},
                                 {"groups", tensor.groups},
                                 {"path", file(number, tensor.name)}});
    for (const Output& output : job.spec.outputs)
      entry["outputs"].push_back({{"name", output.name},
                                  {"dtype", name_of(output.dtype)},
                                  {"extent", name_of(output.extent)},
                                  {"path", file(number, output.name)}});
    list.push_back(std::move(entry));
    numbers.push_back(number);
  }
  if (list.empty()) return;
  const std::string jobs = folder_.path() + "/jobs.json";
  write_file_atomically(jobs, list.dump(), "list of jobs");
  const ScriptRun run = run_script("accuracy.py", {"--jobs", jobs, "--device", gpu ? "cuda" : "cpu"});
  if (!run.failure.empty())
    for (const std::size_t number : numbers) jobs_[number].missing = run.failure;
  for (const Json& line : run.lines)
    if (line.contains("job"))
      jobs_[numbers.at(line.at("job").get<std::size_t>())].missing = line.value("missing", "");
  versions_ = versions_of(run);
}

std::vector<std::byte> PytorchResults::output(std::size_t number, std::size_t output) const {
  const Job& job = jobs_[number];
  const Output& tensor = job.spec.outputs[output];
  const std::string content = read_file(file(number, tensor.name), "result of PyTorch");
  const std::size_t wanted =
      static_cast<std::size_t>(job.rows * row_elements(job.spec, tensor.extent)) * size_of(tensor.dtype);
  if (content.size() != wanted)
    throw UsageError(
        fmt::format("PyTorch stored {} bytes of {}, {} were to be", content.size(), tensor.name, wanted));
  std::vector<std::byte> bytes(wanted);
  std::memcpy(bytes.data(), content.data(), wanted);
  return bytes;
}

}  // namespace isofold::tools
