#pragma once
#include <isofold/runtime.hpp>

#include <map>
#include <string>
#include <vector>

#include "operator_options.hpp"

namespace isofold::tools {

/// XXH3-128 of the outputs of one fixed launch: rows and seed say which. What one machine wrote, every other
/// machine, CPU or GPU, must find again. One line of a JSON-lines file.
struct OutputHashes {
  Problem problem;
  std::int64_t rows = 0;
  std::uint64_t seed = 0;
  std::map<std::string, std::string> outputs;  // name -> digest
  std::string made_by;                         // for people
};

/// Launches on the runtime's device and hashes what it wrote.
OutputHashes measure_hashes(const Runtime& runtime, const Problem& problem);

/// The records of a file. UsageError that names file and line for anything that is not a record.
std::vector<OutputHashes> read_hashes(const std::string& path);
/// The record for a problem, or null.
const OutputHashes* find_hashes(const std::vector<OutputHashes>& records, const Problem& problem);
/// Adds records to a file, in the place of those for the same problems; the file is replaced as a whole.
void merge_hashes(const std::string& path, const std::vector<OutputHashes>& records);

/// Empty when the outputs are the same, else the outputs whose hashes differ.
std::string difference(const OutputHashes& stored, const OutputHashes& measured);

}  // namespace isofold::tools
