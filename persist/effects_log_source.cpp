#include "persist/effects_log_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace millrace {
namespace {

/// The mark before the oldest file of the log; nothing if there is no file, or none with a header.
std::optional<LogCursor> oldest_mark(const std::string& directory) {
    std::error_code none;
    std::string oldest;
    for (const auto& entry : std::filesystem::directory_iterator{directory, none}) {
        const std::string name = entry.path().filename().string();
        const bool ours = name.starts_with("effects-") && name.ends_with(".mre");
        // Numbers have leading zeros, so names sort as numbers do.
        if (ours && (oldest.empty() || name < oldest)) {
            oldest = name;
        }
    }
    if (oldest.empty()) {
        return std::nullopt;
    }
    EffectsHeader header;
    const int fd = ::open((directory + "/" + oldest).c_str(), O_RDONLY | O_CLOEXEC);
    const bool whole = fd >= 0 && ::read(fd, &header, sizeof header) == sizeof header;
    if (fd >= 0) {
        ::close(fd);
    }
    // resume() checks the header's hash; here only that there is one to go by.
    return whole && header.magic == kEffectsMagic ? std::optional{header.mark} : std::nullopt;
}

}  // namespace

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
    } else if (const auto mark = oldest_mark(directory_)) {
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
                return {Errc::BadChecksum, "the effects log is damaged"};
        }
    }
    return std::optional<EffectCursor>{};
}

}  // namespace millrace
