#include "tests/chaos/storm.h"

#include "shm/clock.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace millrace::chaos {
namespace {

using nlohmann::json;

constexpr Nanos kDrawEvery = millis(15);
constexpr Nanos kLookEvery = millis(40);
constexpr std::uint64_t kArmedMax = 24;  // then those in wait have to strike first
constexpr std::uint64_t kRestartAfterMsMax = 250;
constexpr Nanos kCalmMax = seconds(180);
// Beyond the answer's 1 s, the look-up's 2 s, the link's 3 s, the signal's 4 s.
constexpr std::uint64_t kLateMsMin = 1'100;
constexpr std::uint64_t kLateMsSpread = 4'000;
constexpr std::uint64_t kSilentMsMin = 3'300;
constexpr std::uint64_t kSilentMsSpread = 1'200;
constexpr std::uint64_t kBusyMsMax = 3'000;

enum class Way : std::uint8_t { KillStage, Knob, DeadlyKnob, Terminals };

struct HarmRow {
    const char* name;
    std::uint32_t weight;
    Way way;
    const char* what;  // the knob's kind, or the control line's command
};

// In the order of Harm. Killing is dear, cutting and losing cheap: the weights keep a run short.
constexpr HarmRow kRows[kHarms] = {
    {"engine killed", 4, Way::KillStage, ""},
    {"broker stage killed", 5, Way::KillStage, ""},
    {"terminal killed: received", 2, Way::DeadlyKnob, "crash_on_receive"},
    {"terminal killed: sending", 2, Way::DeadlyKnob, "crash_before_books"},
    {"terminal killed: executed", 2, Way::DeadlyKnob, "crash_after_books"},
    {"terminal killed: answered", 2, Way::DeadlyKnob, "crash_after_answer"},
    {"link cut", 10, Way::Terminals, "disconnect"},
    {"link cut: before command", 9, Way::Knob, "disconnect_before"},
    {"link cut: before answer", 9, Way::Knob, "disconnect_after"},
    {"terminal silent", 2, Way::Terminals, "busy"},
    {"terminal busy", 3, Way::Terminals, "busy"},
    {"answer lost: not executed", 10, Way::Knob, "retcode"},
    {"answer lost: executed", 12, Way::Knob, "retcode"},
    {"event lost", 6, Way::Knob, "drop_event"},
    {"event twice", 4, Way::Knob, "duplicate_event"},
    {"acknowledgement lost", 4, Way::Knob, "drop_rx_ack"},
    {"request late", 7, Way::Knob, "latency"},
    {"answer late", 7, Way::Knob, "latency"},
    {"terminal forgot", 2, Way::Terminals, "lose_journal"},
};

constexpr std::uint64_t weight_of_all() {
    std::uint64_t sum = 0;
    for (const HarmRow& row : kRows) {
        sum += row.weight;
    }
    return sum;
}

const HarmRow& row_of(Harm harm) noexcept {
    return kRows[static_cast<std::size_t>(harm)];
}

}  // namespace

std::string_view to_string(Harm harm) noexcept {
    return row_of(harm).name;
}

void Storm::turn() {
    world_.turn();
    watch_broker();
    const std::int64_t now = monotonic_ns();
    if (restart_at_ns_ == 0 && now >= look_at_ns_) {
        look_at_ns_ = now + kLookEvery.value;
        look();
    }
    if (now >= draw_at_ns_) {
        draw_at_ns_ = now + kDrawEvery.value;
        draw();
    }
}

/// What this life of the broker says has struck. What struck between the last look and a death is
/// not counted.
void Storm::look() {
    // Relaxed: a number for people.
    const std::uint64_t in_doubt = world_.segment().core().in_doubt.load(std::memory_order_relaxed);
    in_doubt_most_ = std::max(in_doubt_most_, in_doubt);
    const json stats = world_.control({{"cmd", "stats"}});
    if (!stats.value("ok", false)) {
        return;
    }
    prepare_broker();
    armed_ = stats.value("faults", std::uint64_t{0});
    for (std::size_t i = 0; i < kHarms; ++i) {
        const std::uint64_t told = stats.at("struck").value(kRows[i].name, std::uint64_t{0});
        if (kRows[i].way == Way::Knob && told > told_[i]) {
            count(static_cast<Harm>(i), told - told_[i]);
            told_[i] = told;
        }
    }
}

/// Besides what is counted: some orders are executed in part only.
void Storm::prepare_broker() {
    const auto part = [](const char* share) {
        return json{{"cmd", "fault"},
                    {"kind", "partial_fill"},
                    {"command", "open"},
                    {"probability", "0.03"},
                    {"share", share}};
    };
    if (!is_prepared_) {
        is_prepared_ = world_.control(part("0.5")).value("ok", false);
    }
}

void Storm::watch_broker() {
    demo::Pipeline& p = world_.pipeline();
    if (p.broker().running()) {
        return;
    }
    const std::int64_t now = monotonic_ns();
    if (restart_at_ns_ == 0) {
        const int status = p.broker().status();
        if (!deadly_ || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            failure_ += "the broker died by itself: " + p.broker().how_it_ended() + "\n";
        } else {
            count(*deadly_);
        }
        deadly_.reset();
        told_.fill(0);
        armed_ = 0;
        is_prepared_ = false;
        const std::uint64_t wait = random_.below(kRestartAfterMsMax);
        restart_at_ns_ = now + millis(static_cast<std::int64_t>(wait)).value;
    }
    if (now >= restart_at_ns_) {
        restart_at_ns_ = 0;
        failure_ += p.start_broker();
    }
}

void Storm::draw() {
    std::uint64_t dice = random_.below(weight_of_all());
    std::size_t i = 0;
    while (dice >= kRows[i].weight) {
        dice -= kRows[i++].weight;
    }
    const auto harm = static_cast<Harm>(i);
    if (strike(harm)) {
        count(harm);
    }
}

/// @return true if it has struck already; a knob is counted when it does.
bool Storm::strike(Harm harm) {
    switch (row_of(harm).way) {
        case Way::KillStage:
            return world_.kill_stage(harm == Harm::EngineKilled ? StageId::Engine
                                                                : StageId::Broker);
        case Way::Knob:
            if (restart_at_ns_ == 0 && armed_ < kArmedMax) {
                (void)arm(harm);
            }
            return false;
        case Way::DeadlyKnob:
            if (restart_at_ns_ == 0 && !deadly_ && arm(harm)) {
                deadly_ = harm;
            }
            return false;
        case Way::Terminals: break;
    }
    json line{{"cmd", row_of(harm).what}, {"login", some_login()}};
    if (harm == Harm::LinkCut && random_.below(12) == 0) {
        line.erase("login");  // all of them
    }
    if (harm == Harm::Busy) {
        line["ms"] = 100 + random_.below(kBusyMsMax);
    }
    if (harm == Harm::Silent) {
        line["ms"] = kSilentMsMin + random_.below(kSilentMsSpread);
        line["announced"] = false;
    }
    return restart_at_ns_ == 0 && hit_terminals(std::move(line));
}

bool Storm::hit_terminals(json line) {
    const json answer = world_.control(line);
    // A journal is lost whether there is a session or not; that answer does not say.
    return answer.value("ok", false) && answer.value("up", std::uint64_t{1}) > 0;
}

/// @return false if the broker does not take it, as it is dead.
bool Storm::arm(Harm harm) {
    json line{{"cmd", "fault"}, {"kind", row_of(harm).what}, {"name", row_of(harm).name}};
    line["login"] = some_login();
    if (harm == Harm::LostBefore || harm == Harm::LostAfter) {
        // Error, timeout, no connection: each may have been executed or not.
        constexpr std::uint32_t kOpenCodes[] = {10011, 10012, 10031};
        line["code"] = kOpenCodes[random_.below(std::size(kOpenCodes))];
        line["executed"] = harm == Harm::LostAfter;
    }
    if (harm == Harm::RequestLate || harm == Harm::AnswerLate) {
        const std::uint64_t late = kLateMsMin + random_.below(kLateMsSpread);
        line[harm == Harm::RequestLate ? "fixed_ms" : "answer_ms"] = late;
    }
    const bool taken = world_.control(line).value("ok", false);
    armed_ += taken ? 1 : 0;
    return taken;
}

std::uint64_t Storm::some_login() {
    const auto& accounts = world_.pipeline().plan().accounts;
    return accounts[random_.below(accounts.size())].login;
}

void Storm::calm() {
    const auto there = [this] {
        watch_broker();
        return restart_at_ns_ == 0 && world_.control({{"cmd", "clear_faults"}}).value("ok", false);
    };
    if (!world_.turn_until(there, kCalmMax)) {
        failure_ += "the broker does not answer any more\n";
    }
    look();
}

std::uint64_t Storm::struck() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::string Storm::table() const {
    std::string text;
    for (std::size_t i = 0; i < kHarms; ++i) {
        char line[64];
        std::snprintf(line, sizeof line, "%-28s %6lu\n", kRows[i].name,
                      static_cast<unsigned long>(counts_[i]));
        text += line;
    }
    return text;
}

}  // namespace millrace::chaos
