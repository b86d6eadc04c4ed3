#pragma once
#include <isofold/codegen/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache_entry.hpp"
#include "files.hpp"
#include "launch_table.hpp"

namespace isofold {

// A bundle: kernels built ahead of time, in one file. Numbers are little-endian; a *string* is a u64 length and
// that many bytes.
//
//   magic      15 bytes  "isofold bundle\n"
//   schema     u32       1
//   index      string    JSON: who made it, the choices, and (digest of the key text, offset, bytes) of each entry
//   checksum   32 bytes  XXH3-128 of every byte before it, as lower-case hexadecimal digits
//   entries              at the offsets that the index has, counted from here: each in the format of cache_entry.hpp,
//                        which has a checksum of its own
//
// Equal contents give equal bytes. Nothing in a bundle is secret or signed: it is code, and as trusted as its file.

inline constexpr std::uint32_t bundle_schema = 1;

/// What an operator launches on a device: the schedules of its token ranges as the machine that made the bundle chose
/// them.
struct BundleChoice {
  std::string spec, fold, device;  // texts
  std::vector<LaunchRange> ranges;
};

struct BundleContent {
  std::string made_by;  // version of the library and of the compilers, for people
  std::vector<BundleChoice> choices;
  std::vector<CacheEntry> entries;
};

/// Key text of a kernel in a bundle: what the compiler is given, whatever its version. `source` is the plan's CUDA text,
/// which is in the key, or LLVM IR, of which the digest is.
std::string bundle_key(const Plan& plan, std::string_view source);

/// Writes atomically. Throws UsageError when that cannot be done.
void write_bundle(const std::string& path, const BundleContent& content);

/// A bundle that was opened for reading. The file is never written; entries are read and checked when they are asked for.
/// Thread-safe.
class Bundle {
 public:
  /// Reads and checks the index. Throws UsageError for a file that is no bundle, is damaged, or that everybody may write to.
  explicit Bundle(const std::string& path);

  const std::string& path() const { return path_; }
  const std::string& made_by() const { return made_by_; }
  const std::vector<BundleChoice>& choices() const { return choices_; }
  std::size_t entries() const { return places_.size(); }

  /// The entry of this key text, or nothing. Throws UsageError when it is damaged.
  std::optional<CacheEntry> find(const std::string& key_text) const;
  /// Every entry, in the order of the keys' digests. Throws UsageError for a damaged one.
  std::vector<CacheEntry> read_all() const;

 private:
  struct Place {
    std::uint64_t offset = 0, bytes = 0;
  };
  CacheEntry read(const std::string& digest, const Place& place) const;

  std::string path_, made_by_;
  FileDescriptor file_;
  std::uint64_t file_bytes_ = 0, entries_begin_ = 0;
  std::vector<BundleChoice> choices_;
  std::map<std::string, Place, std::less<>> places_;
};

/// The bundles of a runtime; of those that have the same thing the last one counts. Immutable, thread-safe.
class Bundles {
 public:
  /// `required`: what no bundle has is an error, nothing is compiled.
  Bundles(const std::vector<std::string>& paths, bool required);

  bool required() const { return required_; }
  const std::vector<Bundle>& all() const { return bundles_; }
  std::optional<CacheEntry> find(const std::string& key_text) const;
  /// What an operator launches: of the `same_device` if a bundle has that, else of any device of its architecture (of a CPU:
  /// its target and register width), else null. The origin of its ranges names the bundle.
  const BundleChoice* choice(const Spec& spec, const Fold& fold, const DeviceTraits& device) const;
  /// "a.bundle, b.bundle", for messages; "no bundle is loaded".
  std::string names() const;

 private:
  std::vector<Bundle> bundles_;
  bool required_;
};

}  // namespace isofold
