// ring, dump, tail, follow: records as they lie in a ring, in the journal files or in the effects
// log, decoded and filtered.
#include <fmt/core.h>

#include <deque>
#include <optional>

#include "shm/clock.h"
#include "tools/inspect/filter.h"
#include "tools/inspect/locate.h"
#include "tools/inspect/records.h"
#include "tools/inspect/slots.h"
#include "tools/inspect/watched.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

constexpr const char* kLog = "log";
constexpr const char* kEffects = "effects";

bool is_file_source(const std::string& name) {
    return name == kLog || name == kEffects;
}

std::string hex_of(const std::vector<std::byte>& bytes) {
    std::string out;
    for (const std::byte b : bytes) {
        out += fmt::format("{:02x}", std::to_integer<unsigned>(b));
    }
    return out;
}

ordered_json record_json(const DecodedRecord& r, const RecordsOptions& o) {
    ordered_json j{{"number", r.number}, {"released", r.released}, {"record", r.fields}};
    if (o.hex) {
        j["hex"] = hex_of(r.bytes);
    }
    return j;
}

std::string record_text(const DecodedRecord& r, const RecordsOptions& o) {
    return fmt::format("{:>10} {} {}\n", r.number, r.released ? ' ' : '*', flat_text(r.fields)) +
           (o.hex ? hex_text(r.bytes) : "");
}

/// What a verb reads from: records, opened where it begins, and the filter.
struct Opened {
    std::unique_ptr<Records> records;
    std::optional<Filter> filter;
    const Segment* segment = nullptr;
    std::string journal;
};

int open_source(const RecordsOptions& o, const Segment* segment, const std::string& path,
                std::uint64_t from, Opened& to) {
    to.segment = segment;
    to.journal = !o.journal.empty()   ? o.journal
                 : segment == nullptr ? std::string{}
                                      : std::string{segment->header().journal_dir};
    to.filter.emplace(o.filter, account_names(to.journal), segment);
    if (!to.filter->fault().empty()) {
        return fail(kUsage, to.filter->fault());
    }
    std::string message;
    // A directory given by hand is read as it lies: it need not be this segment's.
    const Segment* live = o.journal.empty() ? segment : nullptr;
    if (o.name == kLog) {
        to.records = journal_records(to.journal, from, live, message);
    } else if (o.name == kEffects) {
        to.records = effect_records(to.journal, from, live, message);
    } else {
        const std::uint32_t index = ring_or_say(*segment, path, o.name);
        if (index == kNoId) {
            return kUsage;
        }
        to.records = ring_records(*segment, index, from);
    }
    return to.records != nullptr ? kOk : fail(kNoSegment, message);
}

/// Runs `f(segment or nullptr, path)`: files can be read without a segment.
template <class F>
int with_source(const RecordsOptions& o, F f) {
    if (is_file_source(o.name) && !o.journal.empty() && o.common.segment.empty()) {
        return f(nullptr, o.journal);
    }
    return with_segment(o.common, [&](const Segment& segment, const std::string& path) {
        return f(&segment, path);
    });
}

int broken(const Records& records, const std::string& name) {
    return fail(kFound, name + ": " + records.fault());
}

/// Hands the records that match to `f` until it says false or there are no more.
template <class F>
int each_record(Opened& from, const std::string& name, F f) {
    while (true) {
        const Next got = from.records->next();
        if (got == Next::Broken) {
            return broken(*from.records, name);
        }
        if (got == Next::End) {
            return kOk;
        }
        if (from.filter->matches(from.records->record().fields) && !f(from.records->record())) {
            return kOk;
        }
    }
}

void show(const std::deque<DecodedRecord>& records, const RecordsOptions& o) {
    ordered_json json = ordered_json::array();
    for (const DecodedRecord& r : records) {
        if (o.common.json) {
            json.push_back(record_json(r, o));
        } else {
            print(record_text(r, o));
        }
    }
    if (o.common.json) {
        print_json({{"source", o.name}, {"records", json}});
    }
}

/// The last `o.last` records that match.
int show_last(const RecordsOptions& o, const Segment* segment, const std::string& path) {
    std::string directory = o.journal;
    if (directory.empty() && segment != nullptr) {
        directory = segment->header().journal_dir;
    }
    Opened from;
    const bool filtered = !Filter{o.filter, {}, nullptr}.empty();
    const std::uint64_t start =
        o.name == kLog && !filtered ? journal_tail_start(directory, o.last) : 0;
    if (const int status = open_source(o, segment, path, start, from); status != kOk) {
        return status;
    }
    std::deque<DecodedRecord> kept;
    const int status = each_record(from, o.name, [&](const DecodedRecord& r) {
        kept.push_back(r);
        if (kept.size() > o.last) {
            kept.pop_front();
        }
        return true;
    });
    show(kept, o);
    return status;
}

int show_ring(const RecordsOptions& o, const Segment& segment, const std::string& path) {
    const std::uint32_t index = ring_or_say(segment, path, o.name);
    if (index == kNoId) {
        return kUsage;
    }
    const SlotCensus census = count_slots(segment, index);
    if (!census.fault.empty() && !o.slots) {
        return fail(kFound, path + ", ring " + o.name + ": " + census.fault);
    }
    auto records = decode_ring(segment, index, o.slots ? 0 : o.last);
    ordered_json json = ordered_json::array();
    const std::vector<DecodedRecord> none;
    for (const DecodedRecord& r : records ? records.value() : none) {
        if (o.common.json) {
            json.push_back(record_json(r, o));
        } else {
            print(record_text(r, o));
        }
    }
    if (o.common.json) {
        print_json({{"ring", o.name}, {"slots", census_json(census)}, {"records", json}});
    } else {
        print((o.slots ? slot_map(segment, index) : "") + census_text(census));
    }
    return census.fault.empty() ? kOk : kFound;
}

constexpr int kLookEveryMs = 20;

/// A follower's state; it outlives the segment that is followed.
struct Following {
    const RecordsOptions& o;
    Interruptible& waiting;
    std::int64_t deadline_ns;  // monotonic
    std::uint64_t shown = 0;
    std::uint64_t last = 0;  // number of the last record read, shown or not
    bool renewed = false;    // the segment is another one than at the start

    [[nodiscard]] bool done() const { return o.count != 0 && shown >= o.count; }
    [[nodiscard]] bool over() const {
        return done() || monotonic_ns() >= deadline_ns || waiting.sleep_ms(0);
    }
};

/// Reads a bounded number of records: records may come faster than a terminal takes them, and the
/// user must be heard all the same. @return Record if there may be more.
Next follow_some(Following& f, Opened& from, bool show) {
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce && !f.done(); ++i) {
        if (const Next got = from.records->next(); got != Next::Record) {
            return got;
        }
        const DecodedRecord& r = from.records->record();
        f.last = r.number;
        if (!show || !from.filter->matches(r.fields)) {
            continue;
        }
        ++f.shown;
        if (f.o.common.json) {
            print_json_line(record_json(r, f.o));
        } else {
            print(record_text(r, f.o));
        }
    }
    return Next::Record;
}

/// Where a follower begins: at the end, if it was not told otherwise.
struct Beginning {
    std::uint64_t from = 0;  // 0 = the oldest record
    bool step_over = false;  // what is there already is read and not shown
};

int find_beginning(const Following& f, const Segment* segment, const std::string& path,
                   Beginning& b) {
    const RecordsOptions& o = f.o;
    const std::string directory = !o.journal.empty()   ? o.journal
                                  : segment == nullptr ? std::string{}
                                                       : segment->header().journal_dir;
    if (f.renewed) {
        b.from = is_file_source(o.name) ? f.last + 1 : 0;  // a new ring: all of it is new
        return kOk;
    }
    b.from = o.from;
    if (b.from != 0) {
        return kOk;
    }
    if (is_file_source(o.name)) {
        // Stepping over is a read of the files: no more of them than needed.
        b.from = o.name == kLog ? journal_tail_start(directory, 0) : effects_tail_start(directory);
        b.step_over = true;
        return kOk;
    }
    const std::uint32_t index = ring_or_say(*segment, path, o.name);
    if (index == kNoId) {
        return kUsage;
    }
    const auto last = last_number(*segment, index);
    if (!last) {
        return fail(kFound, path + ", ring " + o.name + ": " + last.error().what);
    }
    b.from = last.value() + 1;
    return kOk;
}

/// Follows one segment. @return the exit status, or nothing once `replaced()` and all was read.
template <class Replaced>
std::optional<int> follow_one(Following& f, const Segment* segment, const std::string& path,
                              Replaced replaced) {
    Opened from;
    Beginning begin;
    if (const int status = find_beginning(f, segment, path, begin); status != kOk) {
        return status;
    }
    if (const int status = open_source(f.o, segment, path, begin.from, from); status != kOk) {
        return status;
    }
    while (begin.step_over && follow_some(f, from, false) == Next::Record) {
        if (f.over()) {
            return kOk;
        }
    }
    std::uint64_t missed = 0;
    while (true) {
        const Next got = follow_some(f, from, true);
        std::fflush(stdout);
        if (from.records->missed() != missed) {
            missed = from.records->missed();
            (void)fail(kOk,
                       fmt::format("{} records were overwritten before they were read", missed));
        }
        if (got == Next::Broken) {
            return broken(*from.records, f.o.name);
        }
        if (f.over()) {
            return kOk;
        }
        if (got == Next::Record) {
            continue;
        }
        if (replaced()) {
            return std::nullopt;
        }
        if (f.waiting.sleep_ms(kLookEveryMs)) {
            return kOk;
        }
    }
}

}  // namespace

int run_ring(const RecordsOptions& o) {
    return with_segment(o.common, [&](const Segment& segment, const std::string& path) {
        return show_ring(o, segment, path);
    });
}

int run_dump(const RecordsOptions& o) {
    return with_source(o, [&](const Segment* segment, const std::string& path) {
        Opened from;
        if (const int status = open_source(o, segment, path, o.from, from); status != kOk) {
            return status;
        }
        // One document, but a record at a time: a log may be larger than the memory.
        if (o.common.json) {
            print("{\"source\": " + ordered_json(o.name).dump() + ", \"records\": [\n");
        }
        std::uint64_t shown = 0;
        const int status = each_record(from, o.name, [&](const DecodedRecord& r) {
            if (o.common.json) {
                print(shown == 0 ? "" : ",");
                print_json_line(record_json(r, o));
            } else {
                print(record_text(r, o));
            }
            return ++shown != o.count;
        });
        if (o.common.json) {
            print("]}\n");
        }
        return status;
    });
}

int run_tail(const RecordsOptions& o) {
    return with_source(o, [&](const Segment* segment, const std::string& path) {
        return show_last(o, segment, path);
    });
}

int run_follow(const RecordsOptions& o) {
    const std::int64_t timeout = o.timeout.empty() ? INT64_MAX : parse_duration(o.timeout);
    if (timeout < 0) {
        return fail(kUsage, "--timeout " + o.timeout + " is no duration; 500ms, 5s, 2m are");
    }
    Interruptible waiting;
    const std::int64_t begin = monotonic_ns();
    Following f{o, waiting, timeout > INT64_MAX - begin ? INT64_MAX : begin + timeout};
    if (is_file_source(o.name) && !o.journal.empty() && o.common.segment.empty()) {
        return follow_one(f, nullptr, o.journal, [] { return false; }).value_or(kOk);
    }
    std::string message;
    const auto path = resolve(o.common.segment, o.common.dir, message);
    if (!path) {
        return fail(kNoSegment, message);
    }
    Watched watched{path.value()};
    if (!watched.refresh()) {
        return fail(kNoSegment, watched.message);
    }
    while (true) {
        const auto status = follow_one(f, &*watched.segment(), path.value(),
                                       [&watched] { return watched.replaced(); });
        if (status) {
            return *status;
        }
        (void)fail(kOk,
                   path.value() + " was removed or replaced: on with the segment that is next");
        do {
            if (f.over() || waiting.sleep_ms(kLookEveryMs)) {
                return kOk;
            }
        } while (!watched.refresh());
        f.renewed = true;
    }
}

}  // namespace millrace::inspect
