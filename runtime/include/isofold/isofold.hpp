#pragma once
/// The one header that applications include.
#include <isofold/runtime.hpp>
#include <isofold/tuner.hpp>
#include <isofold/tuning_table.hpp>
