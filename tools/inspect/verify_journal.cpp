#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "persist/effects_files.h"
#include "persist/journal_reader.h"
#include "persist/second_directory.h"
#include "persist/skip_list.h"
#include "persist/snapshot_file.h"
#include "tools/inspect/verify.h"

namespace millrace::inspect {
namespace {

/// Marks of the effects log, one after the other, to be met by the journal's own chain.
class Marks {
public:
    Marks(const std::string& directory, Checks& checks) {
        const auto numbers = effects::list(directory);
        if (!numbers || numbers.value().empty()) {
            checks.note("effects", "there is no effects log: a replica makes it again");
            return;
        }
        files_ = numbers.value().size();
        LogCursor first;
        const int fd = ::open(effects::path_of(directory, numbers.value().front()).c_str(),
                              O_RDONLY | O_CLOEXEC);
        if (const auto header = effects::read_header(fd, numbers.value().front()); header) {
            first = header.value().mark;
        } else {
            fault_ =
                effects::path_of(directory, numbers.value().front()) + ": " + header.error().what;
        }
        ::close(fd);
        std::string message;
        auto reader = EffectsReader::resume(directory, first, message);
        if (!reader) {
            fault_ = !fault_.empty()    ? fault_
                     : !message.empty() ? message
                                        : std::string{reader.error().what};
            return;
        }
        reader_.emplace(std::move(reader).value());
        step();
    }

    /// The journal's record `seq` has chain `chain`.
    void meet(std::uint64_t seq, std::uint64_t chain) {
        while (next_ && next_->seq.value < seq) {
            step();
        }
        if (next_ && next_->seq.value == seq) {
            if (next_->chain != chain && fault_.empty()) {
                fault_ = fmt::format("the mark at {} is of another log (chain differs)", seq);
            }
            step();
        }
    }

    void report(Checks& checks) {
        while (next_) {
            step();
        }
        if (files_ != 0) {
            checks.add("effects",
                       fmt::format("{} effects, {} marks in {} files, in order; marks are the "
                                   "journal's",
                                   effects_, marks_, files_),
                       fault_);
        }
        if (reader_ && fault_.empty() && !reader_->fault().empty()) {
            checks.note("effects", reader_->fault());
        }
    }

private:
    void step() {
        next_.reset();
        while (reader_) {
            const EffectStatus status = reader_->next();
            if (status == EffectStatus::Effect) {
                count_effect();
                continue;
            }
            if (status == EffectStatus::Mark) {
                ++marks_;
                next_ = reader_->cursor();
            }
            if (status == EffectStatus::Corrupt && fault_.empty()) {
                fault_ = reader_->fault();
            }
            return;
        }
    }
    void count_effect() {
        const Effect& e = reader_->effect();
        const EffectId id{e.seq.value, e.k};
        if (effects_++ != 0 && id <= last_ && fault_.empty()) {
            fault_ = fmt::format("effect ({}, {}) comes after ({}, {})", id.seq, id.k, last_.seq,
                                 last_.k);
        }
        last_ = id;
    }

    std::optional<EffectsReader> reader_;
    std::optional<LogCursor> next_;
    EffectId last_;
    std::uint64_t effects_ = 0;
    std::uint64_t marks_ = 0;
    std::size_t files_ = 0;
    std::string fault_;
};

/// Snapshots by record; each must have the journal's chain there.
std::map<std::uint64_t, std::uint64_t> read_snapshots(const std::string& directory,
                                                      Checks& checks) {
    std::map<std::uint64_t, std::uint64_t> chains;
    const auto found = list_snapshots(directory);
    if (!found) {
        checks.broken("snapshots", found.error().what);
        return chains;
    }
    for (const Sequence seq : found.value()) {
        std::vector<std::string> bad;
        const auto snapshot = load_snapshot(directory, seq, bad);
        if (!bad.empty()) {
            checks.broken("snapshot " + std::to_string(seq.value), bad.front());
        } else if (snapshot) {
            chains[snapshot.value().at.seq.value] = snapshot.value().at.chain;
        }
    }
    checks.holds("snapshots", fmt::format("{} of {} whole", chains.size(), found.value().size()));
    return chains;
}

struct Log {
    Sequence up_to = kWholeLog;  // of a segment of this boot: what is durable
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::size_t used = 0;
};

std::optional<Log> check_files(LogSource& source, Checks& checks) {
    const auto files = list_log(source);
    if (!files) {
        checks.broken("journal files", source.where() + ": " + files.error().what);
        return std::nullopt;
    }
    Log log;
    std::size_t prepared = 0;
    for (const LogFile& f : files.value()) {
        if (f.use == LogFileUse::Bad) {
            checks.broken("journal file " + std::string{f.name.text().data()}, f.why.what);
        }
        prepared += f.use == LogFileUse::Unused ? 1 : 0;
        if (f.use == LogFileUse::Used) {
            log.first = log.used++ == 0 ? f.header.first_seq : log.first;
        }
    }
    checks.holds("journal files", fmt::format("{} used, {} prepared", log.used, prepared));
    if (log.used == 0) {
        checks.note("journal", "there are no records");
        return std::nullopt;
    }
    return log;
}

/// Reads every record. Chains of the snapshots and marks are met on the way.
void check_records(LogSource& source, Log& log, std::map<std::uint64_t, std::uint64_t>& snapshots,
                   Marks& marks, Checks& checks) {
    std::string message;
    auto reader = JournalReader::open(source, Sequence{log.first - 1}, {}, message);
    if (!reader) {
        checks.broken("journal", message);
        return;
    }
    JournalReader& r = reader.value();
    std::uint64_t records = 0;
    Nanos before{};
    std::string fault;
    ReadStatus status = r.next(log.up_to);
    for (; status == ReadStatus::Record; status = r.next(log.up_to)) {
        const JournalRecord& record = r.record();
        if (fault.empty() && record.time < before) {
            fault = fmt::format("record {} is older than the one before it", record.seq.value);
        }
        if (fault.empty() && record.version != kRecordVersion) {
            fault = fmt::format("record {} has version {}", record.seq.value, record.version);
        }
        before = record.time;
        ++records;
        const auto snapshot = snapshots.find(record.seq.value);
        if (snapshot != snapshots.end()) {
            if (snapshot->second != r.cursor().chain) {
                checks.broken(fmt::format("snapshot {}", record.seq.value),
                              "is of another log (chain differs)");
            }
            snapshots.erase(snapshot);
        }
        marks.meet(record.seq.value, r.cursor().chain);
    }
    log.last = r.cursor().seq.value;
    fault = status == ReadStatus::Corrupt ? r.fault().what : fault;
    checks.add("journal",
               fmt::format("{} records, {} to {}: CRC, chain, sequence and times hold", records,
                           log.first, log.last),
               fault);
    if (status == ReadStatus::End && r.end().code == Errc::TornTail) {
        checks.note("journal", "torn tail, which nobody was told about: " + r.end().what);
    }
    for (const auto& [seq, chain] : snapshots) {
        if (seq > log.last) {
            checks.broken(fmt::format("snapshot {}", seq),
                          fmt::format("is beyond the journal's end at {}", log.last));
        }
    }
}

void check_reservation(const std::string& directory, const Log& log, Checks& checks) {
    std::string message;
    const auto reserved = read_reserved(directory, message);
    if (!reserved) {
        checks.broken("reservation", message);
        return;
    }
    checks.add("reservation",
               fmt::format("sequences below {}, intents below {}", reserved.value().seq,
                           reserved.value().intent),
               log.last < reserved.value().seq
                   ? ""
                   : fmt::format("record {} was written, only those below {} are reserved",
                                 log.last, reserved.value().seq));
}

}  // namespace

void verify_journal(const std::string& directory, const Segment* segment, Checks& checks) {
    DirectorySource source{directory};
    std::optional<Log> log = check_files(source, checks);
    if (!log) {
        return;
    }
    // Before `durable` is loaded: a snapshot that appears meanwhile must not look ahead of the log.
    auto snapshots = read_snapshots(directory, checks);
    Marks marks{directory, checks};
    // Acquire: pairs with the journal stage's release: what it counts can be read from the files.
    const std::uint64_t durable =
        segment == nullptr ? 0 : segment->core().durable.load(std::memory_order_acquire);
    if (segment != nullptr && segment->same_boot()) {
        log->up_to = Sequence{durable};  // beyond it, writes may be under way
    }
    check_records(source, *log, snapshots, marks, checks);
    marks.report(checks);
    check_reservation(directory, *log, checks);
    std::string message;
    if (!SkipList::load(directory, message)) {
        checks.broken("skip list", message);
    }
    if (segment != nullptr) {
        checks.add("durable", fmt::format("the files hold the segment's durable {}", durable),
                   log->last >= durable
                       ? ""
                       : fmt::format("the segment has {} acknowledged, the files end at {}",
                                     durable, log->last));
    }
}

}  // namespace millrace::inspect
