// The test library's headers, compiled once.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/precompiled.h"
