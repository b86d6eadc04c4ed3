#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "operator_options.hpp"
#include "programs.hpp"

namespace isofold::tools {

/// What PyTorch's kernels give for the rows that Isofold's had. The rows wait in files of a temporary folder
/// until all jobs run in one Python process, which takes seconds to start.
class PytorchResults {
 public:
  /// Adds a job: rows of `spec`, dense, in the Spec's order. Its number is the count of jobs before it.
  void add(const Spec& spec, std::int64_t rows, const std::vector<std::vector<std::byte>>& inputs);
  /// Runs the jobs with the embedded accuracy.py on the GPU or the CPU.
  void run(bool gpu);

  /// Why job `number` has no results; empty when it has.
  const std::string& missing(std::size_t number) const { return jobs_[number].missing; }
  /// Raw elements of output `output` of job `number`, dense.
  std::vector<std::byte> output(std::size_t number, std::size_t output) const;
  /// "PyTorch 2.11.0"; empty when nothing ran.
  const std::string& versions() const { return versions_; }

 private:
  struct Job {
    Spec spec;
    std::int64_t rows;
    std::string name;  // of the named operator
    std::string missing;
  };
  std::string file(std::size_t number, const std::string& tensor) const;

  TemporaryFolder folder_;
  std::vector<Job> jobs_;
  std::string versions_;
};

}  // namespace isofold::tools
