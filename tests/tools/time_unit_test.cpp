#include "time_unit.hpp"

#include <doctest/doctest.h>

using namespace isofold::tools;

namespace {

TimeUnit unit_of(std::vector<double> kernel, std::vector<double> call = {}) {
  BenchResult result;
  result.lines.push_back({"isofold", "Isofold", std::move(kernel), std::move(call), {}, {}});
  return time_unit(result);
}

}  // namespace

TEST_CASE("one unit for all times of a result, by the middle of the shortest and the longest") {
  CHECK(unit_of({2, 40, 900}) == TimeUnit::microseconds);
  CHECK(unit_of({2, 40, 90000}) == TimeUnit::microseconds);
  CHECK(unit_of({2000, 40000}) == TimeUnit::milliseconds);
  CHECK(unit_of({500, 2000}) == TimeUnit::milliseconds);
  CHECK(unit_of({500, 1999}) == TimeUnit::microseconds);
  CHECK(unit_of({500}, {9000}) == TimeUnit::milliseconds);
  CHECK(unit_of({-1, -1}) == TimeUnit::microseconds);
  CHECK(unit_of({}) == TimeUnit::microseconds);
}

TEST_CASE("times have three digits that mean something, in either unit") {
  CHECK(time_number(2.513, TimeUnit::microseconds) == "2.51");
  CHECK(time_number(0.0508, TimeUnit::microseconds) == "0.0508");
  CHECK(time_number(38.31, TimeUnit::microseconds) == "38.3");
  CHECK(time_number(9.997, TimeUnit::microseconds) == "10.0");
  CHECK(time_number(90214.4, TimeUnit::microseconds) == "90214");
  CHECK(time_number(12.34, TimeUnit::milliseconds) == "0.0123");
  CHECK(time_number(1530, TimeUnit::milliseconds) == "1.53");
}
