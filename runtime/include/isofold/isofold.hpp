#pragma once
/// The one header that applications include.
#include <isofold/runtime.hpp>
