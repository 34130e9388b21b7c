#include "persist/effects_log_source.h"

namespace millrace {

Status EffectsLogSource::open_at(const LogCursor& after) noexcept {
    record_.clear();
    reader_.reset();
    auto reader = EffectsReader::resume(directory_, after, message_);
    if (reader) {
        reader_.emplace(std::move(reader).value());
        return ok_status();
    }
    if (reader.code() == Errc::Busy) {
        return {Errc::TornTail, "the effects log ends before the store's cursor"};
    }
    return reader.error();
}

Status EffectsLogSource::seek(const EffectCursor& cursor) noexcept {
    const bool from_start = cursor == EffectCursor{};
    LogCursor after{};
    if (!from_start) {
        after.epoch = cursor.epoch;
        after.seq = cursor.seq;
        after.chain = cursor.chain;
    } else if (const auto mark = effects_begin(directory_)) {
        after = *mark;
    }
    const Status opened = open_at(after);
    // Nothing has been written yet: next() looks again.
    return !opened && from_start && opened.code() == Errc::TornTail ? ok_status() : opened;
}

Result<std::optional<EffectCursor>> EffectsLogSource::next(std::vector<Effect>& out) noexcept {
    if (!reader_) {
        if (auto opened = seek({}); !opened) {
            return opened.error();
        }
    }
    while (reader_) {
        switch (reader_->next()) {
            case EffectStatus::Effect: record_.push_back(reader_->effect()); break;
            case EffectStatus::Mark: {
                const LogCursor& at = reader_->cursor();
                const std::uint32_t k = record_.empty() ? 0 : record_.back().k;
                out.insert(out.end(), record_.begin(), record_.end());
                record_.clear();
                return std::optional{EffectCursor{at.epoch, at.seq, k, at.chain}};
            }
            case EffectStatus::End: return std::optional<EffectCursor>{};
            case EffectStatus::Corrupt:
                message_ = reader_->fault();
                return reader_->lost() ? Error{Errc::NotFound, 0, "the effects log begins later"}
                                       : Error{Errc::BadChecksum, 0, "the effects log is damaged"};
        }
    }
    return std::optional<EffectCursor>{};
}

}  // namespace millrace
