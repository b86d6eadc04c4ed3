#include "launch_recorder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <isofold/error.hpp>
#include <thread>

#include "blocked_signals.hpp"

namespace isofold {
namespace {

constexpr std::chrono::seconds interval{1};

}  // namespace

struct LaunchRecorder::Writer {
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread thread;
};

void LaunchCounts::add(std::int64_t tokens) noexcept {
  // Open addressing: a place once taken belongs to its token count for ever.
  constexpr std::size_t most_steps = 64;
  auto at = static_cast<std::size_t>((static_cast<std::uint64_t>(tokens) * 0x9e3779b97f4a7c15u) >> 52);
  for (std::size_t step = 0; step < most_steps; ++step, at = (at + 1) % places) {
    std::int64_t there = table_[at].tokens.load(std::memory_order_relaxed);
    if (there == 0 && table_[at].tokens.compare_exchange_strong(there, tokens, std::memory_order_relaxed)) there = tokens;
    if (there != tokens) continue;
    table_[at].launches.fetch_add(1, std::memory_order_release);  // whoever reads the count sees what it is of
    return;
  }
  others_.fetch_add(1, std::memory_order_relaxed);
}

void LaunchCounts::take(LaunchRecord& into) {
  for (Place& place : table_)
    if (const std::uint64_t launches = place.launches.exchange(0, std::memory_order_acquire))
      into.launches[place.tokens.load(std::memory_order_relaxed)] += launches;
  into.others += others_.exchange(0, std::memory_order_relaxed);
}

LaunchRecorder::LaunchRecorder(std::string path, std::string device, Log& log)
    : path_(std::move(path)),
      device_(std::move(device)),
      log_(log),
      process_(getpid()),
      writer_(std::make_unique<Writer>()) {
  const BlockedSignals blocked;
  writer_->thread = std::thread([this, &writer = *writer_] {
    std::unique_lock lock(writer.mutex);
    while (!writer.wake.wait_for(lock, interval, [&] { return writer.stop; })) {
      lock.unlock();
      flush();
      lock.lock();
    }
  });
}

LaunchRecorder::~LaunchRecorder() {
  if (getpid() != process_) {
    // The thread is not in this process; what it waits for cannot be taken down without it.
    static_cast<void>(writer_.release());
    return;
  }
  {
    const std::lock_guard guard(writer_->mutex);
    writer_->stop = true;
  }
  writer_->wake.notify_all();
  writer_->thread.join();
  flush();
}

LaunchCounts& LaunchRecorder::counts(const std::string& spec, const std::string& fold) {
  const std::lock_guard guard(mutex_);
  std::unique_ptr<LaunchCounts>& counts = counts_[{spec, fold}];
  if (!counts) counts = std::make_unique<LaunchCounts>();
  return *counts;
}

void LaunchRecorder::flush() {
  const std::lock_guard writing(writing_);
  std::vector<LaunchRecord> records;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [names, counts] : counts_) {
      LaunchRecord record{names.first, names.second, device_, {}, 0};
      counts->take(record);
      if (!record.launches.empty() || record.others > 0) records.push_back(std::move(record));
    }
  }
  if (records.empty() || failed_) return;
  try {
    add_launch_records(path_, records);
  } catch (const std::exception& error) {
    failed_ = true;
    log_.warning(fmt::format("launches are not recorded: {}", error.what()));
  }
}

}  // namespace isofold
