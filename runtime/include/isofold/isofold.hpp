#pragma once
/// The one header that applications include.
#include <isofold/codegen/named_spec.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/codegen/spec_builder.hpp>
#include <isofold/log.hpp>
#include <isofold/runtime.hpp>
#include <isofold/tuner.hpp>
#include <isofold/tuning_table.hpp>
