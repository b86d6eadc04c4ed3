#pragma once
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "launch_record.hpp"
#include "log.hpp"

namespace isofold {

/// How often each token count was launched. Thread-safe; `add` takes no lock and allocates nothing.
class LaunchCounts {
 public:
  /// Token counts that have a place; launches over further ones are counted together.
  static constexpr std::size_t places = 4096;

  void add(std::int64_t tokens) noexcept;
  /// What was added since the last call; one caller at a time.
  void take(LaunchRecord& into);

 private:
  struct Place {
    std::atomic<std::int64_t> tokens = 0;  // 0: free
    std::atomic<std::uint64_t> launches = 0;
  };
  std::array<Place, places> table_;
  std::atomic<std::uint64_t> others_ = 0;
};

/// Writes what a runtime launches to a file that processes may share: from a thread of its own about once a second, and at the
/// end. Trouble with the file is one warning, and nothing more is written. A child made by fork records nothing.
class LaunchRecorder {
 public:
  /// `device`: its text. `log` outlives the recorder.
  LaunchRecorder(std::string path, std::string device, Log& log);
  LaunchRecorder(const LaunchRecorder&) = delete;
  LaunchRecorder& operator=(const LaunchRecorder&) = delete;
  ~LaunchRecorder();

  /// The counts of an operator, which live as long as the recorder. Thread-safe.
  LaunchCounts& counts(const std::string& spec, const std::string& fold);
  /// Writes now what was counted since the last time. Thread-safe.
  void flush();

 private:
  std::string path_, device_;
  Log& log_;
  pid_t process_;
  std::mutex mutex_;    // of counts_
  std::mutex writing_;  // one flush at a time; taken before mutex_
  std::map<std::pair<std::string, std::string>, std::unique_ptr<LaunchCounts>> counts_;
  bool failed_ = false;
  struct Writer;
  std::unique_ptr<Writer> writer_;
};

}  // namespace isofold
