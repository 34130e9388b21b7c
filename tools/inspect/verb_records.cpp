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
        ordered_json json = ordered_json::array();
        std::uint64_t shown = 0;
        const int status = each_record(from, o.name, [&](const DecodedRecord& r) {
            if (o.common.json) {
                json.push_back(record_json(r, o));
            } else {
                print(record_text(r, o));
            }
            return ++shown != o.count;
        });
        if (o.common.json) {
            print_json({{"source", o.name}, {"records", json}});
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
    return with_source(o, [&](const Segment* segment, const std::string& path) {
        Opened from;
        std::uint64_t start = o.from;
        if (start == 0 && !is_file_source(o.name)) {
            const std::uint32_t index = ring_or_say(*segment, path, o.name);
            if (index == kNoId) {
                return static_cast<int>(kUsage);
            }
            const auto last = last_number(*segment, index);
            if (!last) {
                return fail(kFound, path + ", ring " + o.name + ": " + last.error().what);
            }
            start = last.value() + 1;
        }
        const bool from_end = start == 0;  // files: what is there already is stepped over
        if (const int status = open_source(o, segment, path, start, from); status != kOk) {
            return status;
        }
        // Stepping over is a read of the files: no more of them than needed.
        while (from_end && from.records->next() == Next::Record) {
        }
        Interruptible waiting;
        const std::int64_t begin = monotonic_ns();
        std::uint64_t shown = 0;
        std::uint64_t missed = 0;
        while (true) {
            const int status = each_record(from, o.name, [&](const DecodedRecord& r) {
                if (o.common.json) {
                    print_json_line(record_json(r, o));
                } else {
                    print(record_text(r, o));
                }
                return ++shown != o.count;
            });
            std::fflush(stdout);
            if (from.records->missed() != missed) {
                missed = from.records->missed();
                (void)fail(
                    kOk, fmt::format("{} records were overwritten before they were read", missed));
            }
            constexpr int kLookEveryMs = 20;
            if (status != kOk || (o.count != 0 && shown >= o.count) ||
                monotonic_ns() - begin >= timeout || waiting.sleep_ms(kLookEveryMs)) {
                return status;
            }
        }
    });
}

}  // namespace millrace::inspect
