// JournalRecord: one input of the engine, as it lies in the journal ring and (trimmed to its
// length) in the journal files. The sequence of these records is the whole truth.
#pragma once

#include "core/admin.h"
#include "core/logic_version.h"
#include "core/order_command.h"
#include "core/signal.h"

#include <cstring>

namespace millrace {

/// Version of the record layouts in this folder. A reader refuses others by name.
/// 2: Report names its symbol.
inline constexpr std::uint8_t kRecordVersion = 2;

enum class InputType : std::uint8_t {
    Start = 1,     // StartInput: an engine began or took over
    Jump = 2,      // JumpInput: a segment was lost; ids jump past their reservation
    Signal = 3,    // Signal
    Report = 4,    // Report
    Admin = 5,     // AdminRecord
    Timer = 6,     // TimerInput: the earliest deadline has passed
    Continue = 7,  // no body: go on with a fan-out or release that ran out of output slots
    Skip = 8,      // SkipInput: an operator took a poisonous input out of the log
    Deliver = 9,   // DeliverInput: a results ring has room for what the engine owes its source
    Rate = 10,     // RateInput: the quote of a symbol that says what a currency is worth
};

struct StartInput {
    std::uint64_t epoch = 0;
    std::uint32_t logic_version = kLogicVersion;
    std::uint32_t new_segment = 0;  // 1: cursors of the old segment mean nothing any more
};
struct JumpInput {
    std::uint64_t intent_floor = 0;  // no intent id below this may be handed out any more
};
struct TimerInput {
    std::uint64_t deadline = 0;  // that was due, for the reader of a dump
};
struct SkipInput {
    std::uint64_t seq = 0;
};
struct DeliverInput {
    SourceId source{kNoId};
    std::uint32_t slots = 0;  // of its results ring, free and promised to nobody
};

/// The quote stands where that of other records does; NO_PRICE says that there was none.
struct RateInput {
    SymbolId symbol{kNoId};
    std::uint32_t reserved = 0;
};

/// Input ring that a record came from; kNoRing for inputs that the engine stage makes itself.
inline constexpr std::uint16_t kNoRing = 0xFFFF;

/// Layout (bytes): 0 seq · 8 time · 16 source_cursor · 24 bid · 32 ask · 40 tick_time
/// · 48 budget · 52 source_ring · 54 type · 55 version · 56 body
struct JournalRecord {
    Sequence seq;
    Nanos time;                       // never before the previous record's
    std::uint64_t source_cursor = 0;  // sequence in `source_ring` of the input, 1-based
    Price bid;                        // latest tick of the input's symbol; 0 = NO_PRICE
    Price ask;
    Nanos tick_time;
    std::uint32_t budget = 0;  // orders that may be put out while applying this record
    std::uint16_t source_ring = kNoRing;
    InputType type{};
    std::uint8_t version = kRecordVersion;
    std::byte body[192] = {};

    static constexpr std::size_t kHeaderBytes = 56;

    template <class Body>
    void set_body(InputType t, const Body& b) noexcept {
        static_assert(std::is_trivially_copyable_v<Body> && sizeof(Body) <= sizeof(body));
        type = t;
        std::memcpy(body, &b, sizeof(Body));
    }
    template <class Body>
    [[nodiscard]] Body as() const noexcept {
        static_assert(std::is_trivially_copyable_v<Body> && sizeof(Body) <= sizeof(body));
        Body b;
        std::memcpy(&b, body, sizeof(Body));
        return b;
    }
};
static_assert(std::is_trivially_copyable_v<JournalRecord> && sizeof(JournalRecord) == 248);
static_assert(offsetof(JournalRecord, body) == JournalRecord::kHeaderBytes);

/// Bytes of the body that `type` uses; 0 for an unknown type. On disk a record is
/// kHeaderBytes + body_bytes(type) long.
[[nodiscard]] constexpr std::size_t body_bytes(InputType type) noexcept {
    switch (type) {
        case InputType::Start: return sizeof(StartInput);
        case InputType::Jump: return sizeof(JumpInput);
        case InputType::Signal: return sizeof(Signal);
        case InputType::Report: return sizeof(Report);
        case InputType::Admin: return sizeof(AdminRecord);
        case InputType::Timer: return sizeof(TimerInput);
        case InputType::Continue: return 8;
        case InputType::Skip: return sizeof(SkipInput);
        case InputType::Deliver: return sizeof(DeliverInput);
        case InputType::Rate: return sizeof(RateInput);
    }
    return 0;
}

}  // namespace millrace
