#include "tests/recovery/recorded_run.h"

#include <gtest/gtest.h>

#include "tests/recovery/whole_file.h"

namespace millrace::test {
namespace {

constexpr int kStepsARound = 8;
constexpr int kQuiet = 4;  // rounds without work

int below(std::mt19937_64& random, int bound) {
    return static_cast<int>(random() % static_cast<std::uint64_t>(bound));
}

}  // namespace

std::filesystem::path reservation_of(const Pipeline& p) {
    return std::filesystem::path{p.journal_dir()} / "reservation";
}

Recording Recorder::record(int rounds) {
    run_ = {};
    tape_ = {};
    run_.before = log_;
    base_ = p_.commands.size();
    EXPECT_TRUE(host_.start()) << host_.message;
    run_.state_hash[host_.log_end] = host_.hash_of_log;
    run_.outside.push_back({host_.log_end, published_, base_, base_, 0});
    p_.answering = true;
    std::erase_if(p_.accepted_at, [&](const auto& a) { return a.second > host_.log_end; });
    note();
    p_.send_config();
    p_.connect_accounts(++generation_);
    p_.resend_signals();
    come_to_rest();
    for (int i = 0; i < rounds; ++i) {
        act();
        steps(kStepsARound);
    }
    run_.accepted = p_.accepted_at;
    run_.commands = p_.commands;
    const auto lost = p_.lose_orders();
    run_.commands.insert(run_.commands.end(), lost.begin(), lost.end());
    run_.events = tape_.events;
    published_ = run_.outside.back().published;
    return std::move(run_);
}

void Recorder::note() {
    tape_.record(host_.disk());
    std::string reserved = read_whole(reservation_of(p_));
    if (run_.reservations.empty() || run_.reservations.back() != reserved) {
        run_.reservations.push_back(std::move(reserved));
    }
    const std::uint64_t seq = host_.engine().seq().value;
    if (!run_.state_hash.contains(seq)) {
        run_.state_hash[seq] = host_.engine().state_hash();
    }
    const auto ring = p_.segment().ring<OrderSlot>("orders");
    Outside now;
    now.durable = host_.durable();
    now.published = seq;
    now.put_out = base_ + ring.find_write_cursor().value();
    now.taken = p_.commands.size();
    now.reservation = run_.reservations.size() - 1;
    // In the midst of a step the world knows what it knew before it.
    const Outside then = run_.outside.back();
    run_.outside.resize(tape_.events.size() + 1, then);
    run_.outside.back() = now;
}

void Recorder::act() {
    switch (below(random_, 10)) {
        case 0: p_.answering = !p_.answering; return;
        case 1: p_.connect_accounts(++generation_); return;
        case 2:
            EXPECT_TRUE(host_.restart_journal()) << host_.message;
            tape_.next_disk();
            return;
        case 3:
        case 4:
        case 5:
            if (!opened_.empty()) {
                change_something();
                return;
            }
            [[fallthrough]];
        default: enter();
    }
}

void Recorder::change_something() {
    constexpr SignalAction kChanges[] = {SignalAction::Close, SignalAction::Modify,
                                         SignalAction::Cancel};
    p_.resting = false;
    Signal s = p_.next_signal();
    s.action = kChanges[below(random_, 3)];
    s.target = opened_[random_() % opened_.size()];
    s.volume = {};
    s.stop_loss = s.action == SignalAction::Modify ? Price{kScale} : Price{};
    left_alone.erase(s.target.lo);
    p_.send(s);
}

void Recorder::enter() {
    p_.resting = below(random_, 4) == 0;
    const Signal s = p_.next_signal();
    opened_.push_back(s.id);
    left_alone.insert(s.id.lo);
    p_.send(s);
}

void Recorder::steps(int count) {
    for (int i = 0; i < count; ++i) {
        switch (below(random_, 4)) {
            case 0: p_.play_broker(); break;
            case 1:
                host_.disk().hold = below(random_, 3) != 0;
                host_.disk().poll_max = 1 + random_() % 3;
                (void)host_.write();
                break;
            default: (void)host_.feed(1);
        }
        note();
    }
}

/// As SteppedHost::settle(), with a look at each step.
void Recorder::come_to_rest() {
    host_.disk().hold = false;
    for (int quiet = 0; quiet < kQuiet;) {
        const int fed = host_.feed(1);
        note();
        const int written = fed == 0 || below(random_, 4) == 0 ? host_.write() : 0;
        note();
        p_.play_broker();
        note();
        quiet = fed + written == 0 ? quiet + 1 : 0;
    }
}

}  // namespace millrace::test
