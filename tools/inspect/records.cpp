#include "tools/inspect/records.h"

#include <fcntl.h>
#include <unistd.h>

#include <deque>

#include "persist/effects_files.h"
#include "persist/effects_log.h"
#include "persist/journal_reader.h"
#include "tools/inspect/describe.h"

namespace millrace::inspect {
namespace {

Names names_of(const Segment* segment) {
    return segment == nullptr ? Names{} : Names{*segment};
}

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
    const auto* p = reinterpret_cast<const std::byte*>(&value);
    return {p, p + sizeof value};
}

class RingRecords final : public Records {
public:
    RingRecords(const Segment& segment, std::uint32_t index, std::uint64_t from)
        : segment_{segment}, index_{index}, from_{from == 0 ? 1 : from}, first_{from != 0} {}

    Next next() override {
        if (queue_.empty() && !fill()) {
            return Next::Broken;
        }
        if (queue_.empty()) {
            return Next::End;
        }
        record_ = std::move(queue_.front());
        queue_.pop_front();
        // What is gone before the first record was asked for is not missed.
        missed_ += first_ && record_.number > from_ && begun_ ? record_.number - from_ : 0;
        begun_ = first_ = true;
        from_ = record_.number + 1;
        return Next::Record;
    }

private:
    bool fill() {
        constexpr std::uint64_t kAtOnce = 256;
        // The oldest ones may be gone: the range is taken from what is there.
        auto got = decode_range(segment_, index_, from_, kAtOnce);
        if (!got) {
            fault_ = got.error().what;
            return false;
        }
        for (DecodedRecord& r : got.value()) {
            queue_.push_back(std::move(r));
        }
        return true;
    }

    const Segment& segment_;
    std::uint32_t index_;
    std::uint64_t from_;
    bool first_;
    bool begun_ = false;
    std::deque<DecodedRecord> queue_;
};

class JournalRecords final : public Records {
public:
    JournalRecords(const std::string& directory, const Segment* segment)
        : source_{directory}, segment_{segment}, names_{names_of(segment)} {}

    bool open(std::uint64_t from, std::string& message) {
        const auto files = list_log(source_);
        if (!files) {
            message = source_.where() + ": " + files.error().what;
            return false;
        }
        std::uint64_t oldest = 0;
        for (const LogFile& f : files.value()) {
            if (f.use == LogFileUse::Used && oldest == 0) {
                oldest = f.header.first_seq;
            }
        }
        if (oldest == 0) {
            message = source_.where() + ": there are no journal files";
            return false;
        }
        return open_behind(std::max(from, oldest) - 1, message);
    }

    Next next() override {
        const ReadStatus status = step();
        if (status == ReadStatus::End) {
            return Next::End;
        }
        if (status == ReadStatus::Corrupt) {
            // A writer at work may have been overtaken in the middle: once more from here.
            const Sequence at = reader_->cursor().seq;
            fault_ = reader_->fault().what;
            std::string message;
            if (retried_ == at || !open_behind(at.value, message)) {
                return Next::Broken;
            }
            retried_ = at;
            return Next::End;
        }
        const JournalRecord& r = reader_->record();
        record_ = {r.seq.value, true, describe(r, names_), {}};
        const auto bytes = trimmed(r);
        record_.bytes.assign(bytes.begin(), bytes.end());
        return Next::Record;
    }

private:
    bool open_behind(std::uint64_t after, std::string& message) {
        auto reader = JournalReader::open(source_, Sequence{after}, {}, message);
        if (!reader) {
            if (message.empty()) {
                message = source_.where() + ": " + reader.error().what;
            }
            return false;
        }
        reader_ = std::make_unique<JournalReader>(std::move(reader).value());
        return true;
    }
    ReadStatus step() {
        if (segment_ == nullptr) {
            return reader_->next();
        }
        // Acquire: pairs with the journal stage's release; the epoch is loaded after it.
        const Sequence durable{segment_->core().durable.load(std::memory_order_acquire)};
        return reader_->next(durable, segment_->core().epoch.load(std::memory_order_relaxed));
    }

    DirectorySource source_;
    const Segment* segment_;
    Names names_;
    std::unique_ptr<JournalReader> reader_;
    Sequence retried_{UINT64_MAX};
};

struct EffectsFile {
    explicit EffectsFile(const std::string& path)
        : fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {}
    ~EffectsFile() { ::close(fd); }
    EffectsFile(const EffectsFile&) = delete;
    EffectsFile& operator=(const EffectsFile&) = delete;
    int fd;
};

/// Mark at which file `number` begins; a mark of nothing if its header cannot be read.
LogCursor mark_of(const std::string& directory, std::uint64_t number) {
    EffectsFile file{effects::path_of(directory, number)};
    const auto header = effects::read_header(file.fd, number);
    return header ? header.value().mark : LogCursor{};
}

class EffectRecords final : public Records {
public:
    explicit EffectRecords(const Segment* segment) : names_{names_of(segment)} {}

    bool open(const std::string& directory, std::uint64_t from, std::string& message) {
        const auto numbers = effects::list(directory);
        if (!numbers || numbers.value().empty()) {
            message = directory + ": there are no effects files";
            return false;
        }
        from_ = from;
        // Effects can be resumed at a mark only: at that of the newest file which begins before
        // `from`, or of the oldest.
        LogCursor mark = mark_of(directory, numbers.value().front());
        for (const auto number : numbers.value()) {
            const LogCursor later = mark_of(directory, number);
            mark = later.seq.value != 0 && later.seq.value < from ? later : mark;
        }
        auto reader = EffectsReader::resume(directory, mark, message);
        if (!reader) {
            if (message.empty()) {
                message = directory + ": " + reader.error().what;
            }
            return false;
        }
        reader_ = std::make_unique<EffectsReader>(std::move(reader).value());
        return true;
    }

    Next next() override {
        while (true) {
            switch (reader_->next()) {
                case EffectStatus::Mark: continue;
                case EffectStatus::End: return Next::End;
                case EffectStatus::Corrupt: fault_ = reader_->fault(); return Next::Broken;
                case EffectStatus::Effect: break;
            }
            const Effect& e = reader_->effect();
            if (e.seq.value >= from_) {
                record_ = {e.seq.value, true, describe(e, names_), bytes_of(e)};
                return Next::Record;
            }
        }
    }

private:
    Names names_;
    std::uint64_t from_ = 0;
    std::unique_ptr<EffectsReader> reader_;
};

}  // namespace

std::unique_ptr<Records> ring_records(const Segment& segment, std::uint32_t index,
                                      std::uint64_t from) {
    return std::make_unique<RingRecords>(segment, index, from);
}

std::unique_ptr<Records> journal_records(const std::string& directory, std::uint64_t from,
                                         const Segment* segment, std::string& message) {
    auto records = std::make_unique<JournalRecords>(directory, segment);
    return records->open(from, message) ? std::move(records) : nullptr;
}

std::unique_ptr<Records> effect_records(const std::string& directory, std::uint64_t from,
                                        const Segment* segment, std::string& message) {
    auto records = std::make_unique<EffectRecords>(segment);
    return records->open(directory, from, message) ? std::move(records) : nullptr;
}

std::uint64_t journal_tail_start(const std::string& directory, std::uint64_t last) {
    DirectorySource source{directory};
    const auto files = list_log(source);
    std::uint64_t newest = 0;
    std::uint64_t start = 0;
    // The last file's length is not known; the files before it tell how far back to go.
    for (std::size_t i = files ? files.value().size() : 0; i-- > 0;) {
        const LogFile& f = files.value()[i];
        if (f.use != LogFileUse::Used) {
            continue;
        }
        start = f.header.first_seq;
        newest = newest == 0 ? start : newest;
        if (newest - start >= last) {
            break;
        }
    }
    return start;
}

std::uint64_t effects_tail_start(const std::string& directory) {
    const auto numbers = effects::list(directory);
    if (!numbers || numbers.value().empty()) {
        return 0;
    }
    return mark_of(directory, numbers.value().back()).seq.value + 1;
}

}  // namespace millrace::inspect
