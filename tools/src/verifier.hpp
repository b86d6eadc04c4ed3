#pragma once
#include <isofold/runtime.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "row_pool.hpp"
#include "work_buffer.hpp"

namespace isofold::tools {

/// Where the rows of every tensor lie: the first one `offset` elements behind an aligned address, rows n +
/// `padding` elements apart.
struct Placement {
  std::int64_t offset = 0;
  std::int64_t padding = 0;
  bool operator==(const Placement&) const = default;
};

/// The first element that was not the oracle's.
struct Difference {
  std::string launch;  // which schedule, over how many tokens, where
  std::string output;
  std::int64_t row = 0, element = 0;
  std::uint64_t expected = 0, actual = 0;  // bit patterns
};

struct VerifyCounts {
  std::uint64_t launches = 0;
  std::uint64_t elements = 0;     // output elements compared
  std::uint64_t differing = 0;    // of them
  std::uint64_t overwritten = 0;  // bytes outside the rows of a launch that changed
  std::optional<Difference> first;
  bool passed() const { return differing == 0 && overwritten == 0; }
  void add(const VerifyCounts& other);
};

/// Launches over rows of a pool in random order, at random positions of larger tensors, and compares every
/// output element with the oracle's, and what lies around the outputs with what was there. Not thread-safe.
class Verifier {
 public:
  /// Room for launches over up to `capacity` rows. UsageError when the tensors do not fit into the device's
  /// memory.
  Verifier(const Runtime& runtime, std::shared_ptr<const RowPool> pool, std::int64_t capacity,
           Placement placement, std::uint64_t seed);
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  /// Gives the text of the schedule that it launched.
  using Launch = std::function<std::string(CUstream_st* stream, std::span<const ConstTensor> inputs,
                                           std::span<const MutableTensor> outputs)>;
  struct Checked {
    std::string schedule;
    VerifyCounts counts;
  };
  /// One launch over `tokens` (1 .. capacity) rows at a position that chance decides.
  Checked check(const Launch& launch, std::int64_t tokens);

  const WorkQueue& queue() const { return queue_; }

 private:
  struct Rows {  // the memory of one tensor
    DType dtype = DType::f32;
    std::int64_t stride = 0;  // elements
    std::size_t stride_bytes = 0, offset_bytes = 0;
    std::unique_ptr<WorkBuffer> buffer;
    std::size_t start(std::int64_t row) const {
      return offset_bytes + static_cast<std::size_t>(row) * stride_bytes;
    }
  };

  Rows make_rows(DType dtype, Extent extent, std::int64_t rows) const;
  void upload(const Rows& rows, std::size_t tensor);
  void fill(const Rows& rows, std::size_t first, std::size_t bytes) const;
  const std::byte* fetch(const Rows& rows, std::size_t first, std::size_t bytes);
  void compare(std::size_t output, std::int64_t first, std::int64_t tokens, const std::string& what, VerifyCounts& total);
  void count_row(std::size_t output, std::int64_t row, const std::byte* actual, const std::byte* expected,
                 const std::string& what, VerifyCounts& counts) const;

  std::shared_ptr<const RowPool> pool_;
  Placement placement_;
  std::int64_t period_;  // row r meets row r mod period of the columns: positions keep that
  std::int64_t rows_;    // of the tensors: more than any launch uses
  Random random_;
  WorkQueue queue_;
  ContextPointer context_;
  std::vector<std::int64_t> order_;  // pool row of each row
  std::vector<Rows> inputs_, outputs_;
  std::optional<PinnedBuffer> pinned_;
};

}  // namespace isofold::tools
