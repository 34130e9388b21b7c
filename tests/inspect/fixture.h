// A segment in a directory of its own, filled with known things.
#pragma once

#include "shm/role.h"
#include "shm/segment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

namespace millrace::inspect {

class SegmentFixture : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
        path_ = (dir_ / "millrace-test").string();
        SegmentPlan plan;
        plan.path = path_;
        plan.journal_dir = (dir_ / "journal").string();
        plan.sessions = 4;
        plan.session_slots = 4;
        plan.journal_slots = 16;
        plan.orders_slots = plan.reports_slots = plan.signals_slots = plan.results_slots = 8;
        plan.admin_slots = plan.holdings_slots = 8;
        plan.strategies = {{"alpha", SourceId{1}}};
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        ASSERT_TRUE(made.ok()) << message;
        segment_ = std::make_unique<Segment>(std::move(made).value());
    }
    void TearDown() override {
        segment_.reset();
        std::filesystem::remove_all(dir_);
    }

    /// This process plays stage `id`, in state `state`.
    void play_stage(StageId id, StageState state) {
        StageEntry& e = segment_->stage(id);
        e.state = static_cast<std::uint32_t>(state);
        e.pid = static_cast<std::uint32_t>(::getpid());
        e.start_time = process_start_time(::getpid());
        e.cpu = 1;
        e.generation = 3;
        e.work = 1'000;
        e.restarts = 2;
        const std::int64_t now = segment_->clock().now().value;
        e.heartbeat_ns = now;
        e.started_ns = now - 50'000'000;
        e.running_ns = now - 38'000'000;
        e.first_work_ns = now - 37'000'000;
    }

    template <class T>
    void publish(const std::string& ring, const T& value, int times = 1) {
        auto producer = RingProducer<T>::attach(segment_->ring<T>(ring));
        ASSERT_TRUE(producer.ok());
        for (int i = 0; i < times; ++i) {
            ASSERT_TRUE(producer.value().try_publish(value).ok());
        }
        producer.value().publish_stats();
    }
    template <class T>
    void consume(const std::string& ring, std::size_t count) {
        auto consumer = RingConsumer<T>::attach(segment_->ring<T>(ring));
        ASSERT_TRUE(consumer.ok());
        ASSERT_EQ(consumer.value().poll(count, [](const T&) {}), count);
    }

    std::filesystem::path dir_;
    std::string path_;
    std::unique_ptr<Segment> segment_;
};

}  // namespace millrace::inspect
