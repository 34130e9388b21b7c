// A segment for whoever needs its cells and its error log alone: the smallest rings there can be,
// in a file of its own, not locked into memory.
#pragma once

#include "shm/segment.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace millrace::test {

/// @return nullptr if it cannot be made; the test has failed then, and says why.
inline std::unique_ptr<Segment> small_segment(const std::string& path) {
    SegmentPlan plan;
    plan.path = path;
    plan.sessions = 1;
    plan.session_slots = plan.journal_slots = plan.orders_slots = plan.reports_slots = 2;
    plan.signals_slots = plan.results_slots = plan.admin_slots = plan.holdings_slots = 2;
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto made = Segment::create(plan, message);
    EXPECT_TRUE(made.ok()) << message;
    return made.ok() ? std::make_unique<Segment>(std::move(made).value()) : nullptr;
}

}  // namespace millrace::test
