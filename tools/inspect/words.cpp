// Names and numbers for people.
#include <fmt/core.h>

#include <array>

#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

template <std::size_t N>
const char* name_at(const std::array<const char*, N>& names, std::uint32_t i) noexcept {
    return i < N ? names[i] : "?";
}

}  // namespace

const char* state_name(std::uint32_t stage_state) noexcept {
    static constexpr std::array<const char*, 9> kNames{"empty",   "starting", "recovering",
                                                       "running", "standby",  "draining",
                                                       "stopped", "dead",     "halted"};
    return name_at(kNames, stage_state);
}

const char* kind_name(std::uint32_t ring_kind) noexcept {
    static constexpr std::array<const char*, 10> kNames{
        "?",      "signals", "results", "admin",   "admin.broker",
        "orders", "reports", "journal", "session", "holdings"};
    return name_at(kNames, ring_kind);
}

const char* hop_name(std::uint32_t hop) noexcept {
    static constexpr std::array<const char*, kHops> kNames{
        "source_to_edge",   "edge_to_engine", "engine_to_broker", "gate",       "broker_to_socket",
        "signal_to_socket", "broker_answer",  "signal_to_result", "durable_ack"};
    return name_at(kNames, hop);
}

const char* journal_state_name(std::uint32_t state) noexcept {
    static constexpr std::array<const char*, 4> kNames{"down", "running", "poisoned", "full"};
    return name_at(kNames, state);
}

const char* journal_backend_name(std::uint32_t backend) noexcept {
    static constexpr std::array<const char*, 5> kNames{"none", "uring-direct", "uring-buffered",
                                                       "pwrite-direct", "pwrite-buffered"};
    return name_at(kNames, backend);
}

const char* redis_state_name(std::uint64_t state) noexcept {
    static constexpr std::array<const char*, 4> kNames{"down", "following", "rebuilding",
                                                       "verifying"};
    return state < kNames.size() ? kNames[state] : "?";
}

const char* clickhouse_state_name(std::uint64_t state) noexcept {
    static constexpr std::array<const char*, 5> kNames{"down", "following", "retrying",
                                                       "failed_sync", "suspended"};
    return state < kNames.size() ? kNames[state] : "?";
}

const char* order_name(RingOrder order) noexcept {
    static constexpr std::array<const char*, kRingOrders> kNames{"fullest", "busiest", "stalls",
                                                                 "name"};
    return name_at(kNames, static_cast<std::uint32_t>(order));
}

const char* liveness_name(Liveness liveness) noexcept {
    static constexpr std::array<const char*, 5> kNames{"none", "alive", "gone", "other-boot",
                                                       "elsewhere"};
    return name_at(kNames, static_cast<std::uint32_t>(liveness));
}

std::string hex_hash(std::uint64_t hash) {
    return fmt::format("{:016x}", hash);
}

std::string human_ns(std::int64_t ns) {
    if (ns < 0) {
        return "-";
    }
    const auto value = static_cast<double>(ns);
    const auto scaled = [&](double unit, const char* suffix) {
        const double x = value / unit;
        return fmt::format("{:.{}f}{}", x, x < 9.995 ? 2 : x < 99.95 ? 1 : 0, suffix);
    };
    if (ns < 1'000) {
        return fmt::format("{}ns", ns);
    }
    if (ns < 999'500) {
        return scaled(1e3, "us");
    }
    if (ns < 999'500'000) {
        return scaled(1e6, "ms");
    }
    const std::int64_t whole = ns / 1'000'000'000;
    if (whole < 60) {
        return scaled(1e9, "s");
    }
    if (whole < 3600) {
        return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    }
    return whole < 48 * 3600 ? fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60)
                             : fmt::format("{}d{:02}h", whole / 86'400, whole / 3600 % 24);
}

std::string human_count(std::uint64_t n) {
    if (n < 1000) {
        return std::to_string(n);
    }
    static constexpr const char* kUnits[] = {"k", "M", "G", "T", "P", "E"};
    auto value = static_cast<double>(n) / 1000.0;
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
        value /= 1000.0;
        ++unit;
    }
    return fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

}  // namespace millrace::inspect
