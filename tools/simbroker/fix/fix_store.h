// What a FIX session keeps: its two sequence numbers, and what it said about orders, to be said
// again when the other side asks. It survives a kill -9 at any instruction, not the host's death.
#pragma once

#include "tools/simbroker/append_file.h"

#include <cstdint>
#include <deque>
#include <string>

namespace millrace::sim {

/// A message of ours about orders.
struct FixSent {
    std::uint32_t number = 0;
    std::string type;    // 35
    std::string time;    // 52 of its first sending
    std::string fields;  // after the header, before the trailer
};

/// Threads: one.
class FixStore {
public:
    /// Older ones are gap-filled.
    static constexpr std::size_t kSentMax = 10'000;

    /// @param path `path`.sent and `path`.numbers are opened or created; empty = memory alone.
    /// @return errors of AppendFile::open().
    [[nodiscard]] static Result<FixStore> open(const std::string& path);

    [[nodiscard]] std::uint32_t next_in() const noexcept { return next_in_; }
    [[nodiscard]] std::uint32_t next_out() const noexcept { return next_out_; }
    /// MsgSeqNum that is expected next. @return IoError.
    [[nodiscard]] Status set_in(std::uint32_t next);
    /// A message that is not kept takes the next number. @return IoError.
    [[nodiscard]] Status count_out();
    /// Keeps a message and counts it. @param sent `number` is next_out(). @return IoError.
    [[nodiscard]] Status add(FixSent sent);
    /// Both sides number from 1 again. @return IoError.
    [[nodiscard]] Status reset();

    /// The newest, oldest first.
    [[nodiscard]] const std::deque<FixSent>& sent() const noexcept { return sent_; }

private:
    [[nodiscard]] Status keep_numbers();
    void take_line(std::string_view line);

    std::string path_;
    AppendFile sent_file_;
    AppendFile numbers_;
    bool in_memory_ = false;
    std::uint32_t next_in_ = 1;
    std::uint32_t next_out_ = 1;
    std::deque<FixSent> sent_;
};

}  // namespace millrace::sim
