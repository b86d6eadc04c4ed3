#include "output_hashes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <isofold/codegen/digest.hpp>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

#include "console.hpp"
#include "files.hpp"
#include "launch_once.hpp"
#include "row_pool.hpp"

namespace isofold::tools {
namespace {

constexpr std::int64_t hashed_elements = std::int64_t{1} << 20;
constexpr std::uint64_t hashed_seed = 20;

std::int64_t hashed_rows(const Spec& spec) {
  return std::clamp<std::int64_t>(hashed_elements / std::max<std::int64_t>(spec.n, 1), 26, 104);
}

std::string to_line(const OutputHashes& record) {
  const Json line = {{"spec", text(record.problem.spec)},
                     {"fold", text(record.problem.fold)},
                     {"bits_id", bits_id(record.problem.spec, record.problem.fold)},
                     {"rows", record.rows},
                     {"seed", record.seed},
                     {"outputs", record.outputs},
                     {"made_by", record.made_by}};
  return line.dump();
}

OutputHashes parse_line(std::string_view line) {
  OutputHashes record;
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object())
    throw UsageError("not a record of hashes; `isofold verify --write-hashes` makes such files");
  try {
    record.problem = {parse_spec(json.at("spec").get<std::string>()),
                      parse_fold(json.at("fold").get<std::string>())};
    record.rows = json.at("rows").get<std::int64_t>();
    record.seed = json.at("seed").get<std::uint64_t>();
    record.outputs = json.at("outputs").get<std::map<std::string, std::string>>();
    record.made_by = json.at("made_by").get<std::string>();
    const std::string id = bits_id(record.problem.spec, record.problem.fold);
    if (json.at("bits_id").get<std::string>() != id)
      throw UsageError(fmt::format("the bits id is not {}: the record is of another numerics version", id));
  } catch (const Json::exception&) {
    throw UsageError(
        "not a record of hashes: it needs spec, fold, bits_id, rows, seed, outputs and made_by; "
        "`isofold verify --write-hashes` makes such files");
  }
  if (record.rows != hashed_rows(record.problem.spec) || record.seed != hashed_seed)
    throw UsageError("rows and seed are not those of this version");
  return record;
}

}  // namespace

OutputHashes measure_hashes(const Runtime& runtime, const Problem& problem) {
  OutputHashes record{
      problem,
      hashed_rows(problem.spec),
      hashed_seed,
      {},
      fmt::format("isofold {} {} {}", version(), runtime.device_name(), runtime.device().name)};
  const RowPool pool(problem, record.rows, record.seed, RowPool::Results::none);
  const Spec& spec = problem.spec;
  std::vector<std::span<const std::byte>> inputs;
  for (std::size_t t = 0; t < spec.inputs.size(); ++t) {
    const auto held = static_cast<std::size_t>(rows_held(spec.inputs[t], record.rows));
    inputs.emplace_back(pool.input(t, 0), pool.input_row_bytes(t) * held);
  }
  const std::vector<std::vector<std::byte>> results = launch_once(runtime, problem, record.rows, inputs);
  for (std::size_t t = 0; t < results.size(); ++t)
    record.outputs[spec.outputs[t].name] =
        digest({reinterpret_cast<const char*>(results[t].data()), results[t].size()});
  return record;
}

std::vector<OutputHashes> read_hashes(const std::string& path) {
  std::vector<OutputHashes> records;
  read_lines(path, "hashes", [&](std::string_view line) { records.push_back(parse_line(line)); });
  return records;
}

const OutputHashes* find_hashes(const std::vector<OutputHashes>& records, const Problem& problem) {
  for (const OutputHashes& record : records)
    if (record.problem.spec == problem.spec && record.problem.fold == problem.fold) return &record;
  return nullptr;
}

void merge_hashes(const std::string& path, const std::vector<OutputHashes>& records) {
  std::vector<OutputHashes> all;
  if (std::error_code error; std::filesystem::exists(path, error)) all = read_hashes(path);
  for (const OutputHashes& record : records) {
    std::erase_if(all,
                  [&](const OutputHashes& old) { return find_hashes({record}, old.problem) != nullptr; });
    all.push_back(record);
  }
  std::string lines;
  for (const OutputHashes& record : all) lines += to_line(record) + "\n";
  write_file_atomically(path, lines, "hashes");
}

std::string difference(const OutputHashes& stored, const OutputHashes& measured) {
  std::string names;
  for (const auto& [name, hash] : stored.outputs)
    if (const auto found = measured.outputs.find(name);
        found == measured.outputs.end() || found->second != hash)
      names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace isofold::tools
