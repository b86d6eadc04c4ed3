// The longest row, and rows that lie further apart than 32 bits say, on the CPU backend. The tensors are mappings whose pages have
// no memory until something is written there.
#include <isofold/codegen/spec.hpp>
#include <isofold/runtime.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

using namespace isofold;

namespace {

/// Zeros that may be read and written. Where the system does not give so much address space, the whole program counts as skipped.
class SparseMemory {
 public:
  explicit SparseMemory(std::size_t bytes) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED) {
      std::printf("skipped: mmap gives no %zu bytes of address space: %s\n", bytes, std::strerror(errno));
      std::exit(77);
    }
  }
  SparseMemory(const SparseMemory&) = delete;
  SparseMemory& operator=(const SparseMemory&) = delete;
  ~SparseMemory() { munmap(data_, bytes_); }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  std::size_t bytes_;
  void* data_;
};

Operator operator_of(const std::string& text) {
  return Runtime({.device = "cpu", .cache_folder = "off", .tables = {}}).make_operator(parse_spec(text));
}

constexpr std::uint8_t one = 0x38, three = 0x44, minus_five = 0xca, most = 0x7e;  // of e4m3: 1, 3, -5, 448

}  // namespace

TEST_CASE("the longest row, of 2147483647 elements") {
  const Operator op = operator_of(
      "longest N=2147483647 (x: e4m3[row]) { total: f32 = sum(x); mean: f32 = div(sum(x), N); largest: f32 = reduce_max(x); "
      "last: f32 = at(x, 2147483646i) }");
  const std::int64_t n = op.spec().n;
  REQUIRE(n == max_row_length);
  const SparseMemory row(static_cast<std::size_t>(n));
  // Whole numbers: their sum is exact in every order.
  const std::pair<std::int64_t, std::uint8_t> elements[] = {
      {0, one}, {65535, three}, {(std::int64_t{1} << 30) + 1, minus_five}, {n - 4099, three}, {n - 1, most}};
  for (const auto& [place, value] : elements) row.as<std::uint8_t>()[place] = value;

  const ConstTensor input{row.as<std::uint8_t>()};
  float total = 0, mean = 0, largest = 0, last = 0;
  const std::vector<MutableTensor> outputs = {{&total}, {&mean}, {&largest}, {&last}};
  op.launch(nullptr, {&input, 1}, outputs, 1);
  CHECK(total == 1 + 3 - 5 + 3 + 448);
  CHECK(mean == 450 / 2147483648.0f);  // N is rounded to binary32
  CHECK(largest == 448);
  CHECK(last == 448);
}

TEST_CASE("a row stride of 2^33 elements") {
  const Operator op = operator_of(
      "apart N=1000 (x: e4m3[row], z: e4m3[row]) { total = sum(x); doubled: e4m3 = mul(x, 2); y: e4m3 = add(z, total); sum_out: f32 = total }");
  const std::int64_t n = op.spec().n, stride = std::int64_t{1} << 33;
  const auto bytes = static_cast<std::size_t>(stride + n);
  const SparseMemory x(bytes), doubled(bytes), sums(4 * static_cast<std::size_t>(stride + 1));
  std::uint8_t* const second = x.as<std::uint8_t>() + stride;
  x.as<std::uint8_t>()[0] = one;
  second[1] = three;
  second[n - 1] = minus_five;

  std::vector<std::uint8_t> z(2 * 1000), y(z.size(), 0xff);  // dense rows beside them
  const std::vector<ConstTensor> inputs = {{x.as<std::uint8_t>(), stride}, {z.data()}};
  const std::vector<MutableTensor> outputs = {{doubled.as<std::uint8_t>(), stride}, {y.data()}, {sums.as<float>(), stride}};
  op.launch(nullptr, inputs, outputs, 2);
  CHECK(sums.as<float>()[0] == 1);
  CHECK(sums.as<float>()[stride] == -2);
  CHECK(y == [&] {
    std::vector<std::uint8_t> wanted(1000, one);
    wanted.resize(y.size(), 0xc0);  // -2
    return wanted;
  }());
  std::vector<std::uint8_t> first_row(1000), second_row(1000);
  first_row[0] = 0x40;  // 2
  second_row[1] = 0x4c;  // 6
  second_row[999] = 0xd2;  // -10
  CHECK(std::memcmp(doubled.as<std::uint8_t>(), first_row.data(), first_row.size()) == 0);
  CHECK(std::memcmp(doubled.as<std::uint8_t>() + stride, second_row.data(), second_row.size()) == 0);
}
