#include "tools/explain/logs.h"

#include "persist/effects_log.h"
#include "persist/journal_reader.h"

namespace millrace::explain {
namespace {

/// The record that the oldest file begins with; 0 and `fault` if there is none.
std::uint64_t oldest_record(LogSource& source, std::string& fault) {
    const auto files = list_log(source);
    if (!files) {
        fault = source.where() + ": " + files.error().what;
        return 0;
    }
    for (const LogFile& f : files.value()) {
        if (f.use == LogFileUse::Used) {
            return f.header.first_seq;
        }
    }
    fault = source.where() + ": there are no journal files";
    return 0;
}

ReadStatus step(JournalReader& reader, const Segment* segment) {
    if (segment == nullptr) {
        return reader.next();
    }
    // Acquire: pairs with the journal stage's release; the epoch is loaded after it.
    const Sequence durable{segment->core().durable.load(std::memory_order_acquire)};
    return reader.next(durable, segment->core().epoch.load(std::memory_order_relaxed));
}

}  // namespace

Scanned scan_journal(const std::string& directory, const Segment* segment,
                     const std::function<bool(const JournalRecord&)>& take) {
    Scanned scanned;
    DirectorySource source{directory};
    const std::uint64_t oldest = oldest_record(source, scanned.fault);
    if (oldest == 0) {
        return scanned;
    }
    std::string message;
    auto reader = JournalReader::open(source, Sequence{oldest - 1}, {}, message);
    if (!reader) {
        scanned.fault = message.empty() ? directory + ": " + reader.error().what : message;
        return scanned;
    }
    while (true) {
        const ReadStatus status = step(reader.value(), segment);
        if (status == ReadStatus::Corrupt) {
            scanned.fault = reader.value().fault().what;
        }
        if (status != ReadStatus::Record) {
            return scanned;
        }
        const JournalRecord& r = reader.value().record();
        scanned.range.widen(r.seq, r.time);
        if (!take(r)) {
            return scanned;
        }
    }
}

Scanned scan_effects(const std::string& directory, const std::function<bool(const Effect&)>& take) {
    Scanned scanned;
    const auto begin = effects_begin(directory);
    if (!begin) {
        scanned.fault = directory + ": there are no effects files, or one cannot be read";
        return scanned;
    }
    scanned.cut = begin->seq.value > 0;
    std::string message;
    auto reader = EffectsReader::resume(directory, *begin, message);
    if (!reader) {
        scanned.fault = message.empty() ? directory + ": " + reader.error().what : message;
        return scanned;
    }
    while (true) {
        const EffectStatus status = reader.value().next();
        if (status == EffectStatus::Corrupt) {
            scanned.fault = reader.value().fault();
            return scanned;
        }
        if (status == EffectStatus::End) {
            return scanned;
        }
        if (status == EffectStatus::Effect) {
            const Effect& e = reader.value().effect();
            scanned.range.widen(e.seq, e.time);
            if (!take(e)) {
                return scanned;
            }
        }
    }
}

}  // namespace millrace::explain
