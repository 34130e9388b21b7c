// A desk, a terminal and what the tests ask of them again and again.
#pragma once

#include "tests/mt5/desk.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace millrace::mt5::test {

class World : public testing::Test {
protected:
    void begin(HostSetup setup = {}) {
        setup.inputs.insert(setup.inputs.begin(), "InpReadyMs=20");
        host.emplace(dir, desk.port(), setup);
        host->start();
        ASSERT_TRUE(desk.until([&] { return desk.synced && desk.info.balance != 0; }));
    }
    /// Sends and waits for the first answer.
    const bridge::Event& answer_to(const bridge::Command& command, int ms = 60'000) {
        static const bridge::Event nothing{};
        const std::uint64_t magic = desk.submit(command);
        EXPECT_TRUE(desk.until_answered(magic, ms)) << "intent " << Magic{magic}.intent();
        return desk.told[magic].outcomes.empty() ? nothing : desk.told[magic].outcomes.back();
    }
    /// Waits for an Exec event of `kind`.
    const bridge::Event* exec_of(ExecKind kind, int ms = 60'000) {
        const bridge::Event* found = nullptr;
        desk.until(
            [&] {
                for (const bridge::Event& event : desk.execs) {
                    found = event.exec_kind == static_cast<std::uint8_t>(kind) ? &event : found;
                }
                return found != nullptr;
            },
            ms);
        return found;
    }
    /// The program goes round and round, without anything having to happen; a round takes 2 ms.
    void let_it_run(std::uint64_t rounds = 100) {
        const std::uint64_t before = number("timers");
        ASSERT_TRUE(desk.until([&] { return number("timers") > before + rounds; }));
    }
    std::uint64_t number(const char* what) { return host->stat(what); }

    TempDir dir;
    Desk desk;
    std::optional<HostProcess> host;
};

/// The journal's file with this ending, .a or .b; empty if there is none.
inline std::filesystem::path journal_file(const TempDir& dir, const std::string& ending) {
    std::error_code ignored;  // no folder, no file
    for (const auto& entry :
         std::filesystem::directory_iterator{dir.path("files/common/Millrace"), ignored}) {
        if (entry.path().extension() == ending) {
            return entry.path();
        }
    }
    return {};
}

/// A record of the journal's file (gateway/mt5/JournalFile.mqh).
struct JournalRecord {
    static constexpr int kEvent = 5;
    static constexpr int kDeal = 13;
    int kind;
    std::uint64_t second;  // of its body: of an event the magic that it answers
    std::uintmax_t end;    // where the next one begins
};
inline std::vector<JournalRecord> records_of(const std::filesystem::path& journal) {
    std::ifstream file{journal, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    std::vector<JournalRecord> records;
    constexpr std::size_t kHead = 8;
    for (std::size_t at = 0; at + kHead <= text.size();) {
        std::uint16_t bytes = 0;
        std::memcpy(&bytes, text.data() + at + 4, sizeof bytes);
        if (bytes < kHead || at + bytes > text.size()) {
            break;
        }
        JournalRecord record{text[at + 6], 0, at + bytes};
        if (bytes >= kHead + 16) {
            std::memcpy(&record.second, text.data() + at + kHead + 8, sizeof record.second);
        }
        records.push_back(record);
        at += bytes;
    }
    return records;
}

inline constexpr std::uint32_t kDone = 10009;
/// Bits of what a terminal tells that says nothing of the account yet.
inline constexpr std::uint8_t kNotYet = bridge::kInfoServerAway | bridge::kInfoSettling;
inline bool is(const bridge::Event& event, ReportType type) {
    return event.type == static_cast<std::uint8_t>(type);
}
inline bool has_status(const bridge::Event& event, OrdStatus status) {
    return event.ord_status == static_cast<std::uint8_t>(status);
}

}  // namespace millrace::mt5::test
