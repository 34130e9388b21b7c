#include "persist/effects_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

constexpr std::size_t kWindowBytes = 256 * 1024;
constexpr std::size_t kFrameBytesMax = frame_bytes(sizeof(Effect));

}  // namespace

EffectsReader::EffectsReader(const std::string& directory)
    : directory_{directory}, window_(kWindowBytes) {}

EffectsReader::~EffectsReader() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

EffectsReader::EffectsReader(EffectsReader&& other) noexcept {
    *this = std::move(other);
}

EffectsReader& EffectsReader::operator=(EffectsReader&& other) noexcept {
    directory_ = std::move(other.directory_);
    std::swap(fd_, other.fd_);
    number_ = other.number_;
    offset_ = other.offset_;
    chain_ = other.chain_;
    window_ = std::move(other.window_);
    window_at_ = other.window_at_;
    window_used_ = other.window_used_;
    effect_ = other.effect_;
    cursor_ = other.cursor_;
    fault_ = std::move(other.fault_);
    failed_ = other.failed_;
    lost_ = other.lost_;
    return *this;
}

Result<EffectsReader> EffectsReader::resume(const std::string& directory, const LogCursor& after,
                                            std::string& message) {
    EffectsReader reader{directory};
    const auto numbers = effects::list(directory);
    if (!numbers) {
        message = directory + ": " + numbers.error().what;
        return numbers.error();
    }
    // The last file that begins at or before the mark.
    EffectsHeader header;
    bool found = false;
    for (auto n = numbers.value().rbegin(); n != numbers.value().rend() && !found; ++n) {
        found = reader.open_number(*n, header).ok() && header.mark.seq <= after.seq;
    }
    if (!found && !numbers.value().empty() && reader.fd_ >= 0) {
        message = directory + ": the effects log begins behind record " +
                  std::to_string(header.mark.seq.value) + ", this store has only come to record " +
                  std::to_string(after.seq.value) + ". Rebuild the store";
        return {Errc::NotFound, "effects log begins later"};
    }
    if (!found && after.seq.value != 0) {
        message = directory + ": the effects log has not come to record " +
                  std::to_string(after.seq.value) + " yet";
        return {Errc::Busy, "effects log has not come that far"};
    }
    while (reader.cursor_.seq < after.seq) {
        const EffectStatus status = reader.next();
        if (status == EffectStatus::Corrupt) {
            message = reader.fault_;
            return reader.lost_ ? Error{Errc::NotFound, 0, "effects log begins later"}
                                : Error{Errc::BadChecksum, 0, "effects log is damaged"};
        }
        if (status == EffectStatus::End) {
            message = directory + ": the effects log has not come to record " +
                      std::to_string(after.seq.value) + " yet" +
                      (reader.fault_.empty() ? "" : "; " + reader.fault_);
            return {Errc::Busy, "effects log has not come that far"};
        }
    }
    const bool start = after.seq.value == 0;
    if (!start && (reader.cursor_.seq != after.seq || reader.cursor_.chain != after.chain)) {
        message = directory + ": record " + std::to_string(after.seq.value) +
                  " is not the one that the store's cursor was stored with. Rebuild the store";
        return {Errc::BadChain, "cursor does not match the effects log"};
    }
    if (auto there = reader.look_ahead(); !there) {
        message = reader.fault_;
        return there.error();
    }
    return reader;
}

// At the end of what was there before a loss nothing would be given any more; effects whose mark
// was lost may lie there still.
Status EffectsReader::look_ahead() noexcept {
    if (fd_ < 0) {
        return ok_status();
    }
    const std::uint64_t number = number_;
    const std::uint64_t offset = offset_;
    const std::uint64_t chain = chain_;
    const LogCursor cursor = cursor_;
    while (next() == EffectStatus::Effect) {
    }
    if (lost_) {
        return {Errc::NotFound, "effects log begins later"};
    }
    // Whatever else is there, next() finds again.
    EffectsHeader header;
    if (number_ != number) {
        if (auto back = open_number(number, header); !back) {
            fault_ = effects::path_of(directory_, number) + ": was taken away while it was read";
            return back;
        }
    }
    failed_ = false;
    fault_.clear();
    offset_ = offset;
    chain_ = chain;
    cursor_ = cursor;
    window_used_ = 0;
    return ok_status();
}

// Opens file `number`, before its first frame.
Status EffectsReader::open_number(std::uint64_t number, EffectsHeader& header) noexcept {
    const int fd = ::open(effects::path_of(directory_, number).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return effects::failed("effects log: cannot open a file");
    }
    const auto read = effects::read_header(fd, number);
    if (!read) {
        ::close(fd);
        return read.error();
    }
    if (fd_ >= 0) {
        ::close(fd_);
    }
    header = read.value();
    fd_ = fd;
    number_ = number;
    offset_ = sizeof(EffectsHeader);
    chain_ = header.previous_chain;
    cursor_ = header.mark;
    window_used_ = 0;
    return ok_status();
}

EffectStatus EffectsReader::next() noexcept {
    if (failed_) {
        return EffectStatus::Corrupt;
    }
    for (;;) {
        const auto frame = fd_ >= 0 ? frame_here() : Result<Frame>{Errc::NotFound};
        if (!frame) {
            if (to_next_file()) {
                continue;
            }
            return failed_ ? EffectStatus::Corrupt : EffectStatus::End;
        }
        const auto& f = frame.value();
        const bool effect = f.kind == FrameKind::Effect && f.payload.size() == sizeof(Effect);
        const bool mark = f.kind == FrameKind::Mark && f.payload.size() == sizeof(LogCursor);
        if ((!effect && !mark) || f.chain != chain_next(chain_, f.payload)) {
            return corrupt("a row that does not follow the one before it");
        }
        fault_.clear();
        chain_ = f.chain;
        offset_ += f.bytes;
        if (effect) {
            std::memcpy(&effect_, f.payload.data(), sizeof(effect_));
            return EffectStatus::Effect;
        }
        std::memcpy(&cursor_, f.payload.data(), sizeof(cursor_));
        return EffectStatus::Mark;
    }
}

Result<Frame> EffectsReader::frame_here() noexcept {
    Result<Frame> frame{Errc::NotFound};
    for (const bool fresh : {false, true}) {
        if (!fill(kFrameBytesMax, fresh)) {
            return {Errc::IoError, "effects log: cannot read a file"};
        }
        const auto at = static_cast<std::size_t>(offset_ - window_at_);
        frame = parse_frame(std::span<const std::byte>{window_}.first(window_used_).subspan(at));
        if (frame.ok()) {
            return frame;
        }
    }
    return frame;
}

bool EffectsReader::fill(std::size_t bytes, bool fresh) noexcept {
    const bool covered = offset_ >= window_at_ && offset_ + bytes <= window_at_ + window_used_;
    if (covered && !fresh) {
        return true;
    }
    const auto got = effects::read_at(fd_, offset_, window_);
    window_at_ = offset_;
    window_used_ = got < 0 ? 0 : static_cast<std::size_t>(got);
    return got >= 0;
}

// No valid frame here. A file with a successor is complete, so then this must be its exact end.
bool EffectsReader::to_next_file() noexcept {
    std::size_t left = fd_ >= 0 ? window_used_ : 0;
    EffectsHeader header;
    if (fd_ < 0) {
        const auto numbers = effects::list(directory_);
        return numbers.ok() && !numbers.value().empty() &&
               open_number(numbers.value().front(), header).ok() && header.mark.seq.value == 0;
    }
    const LogCursor here = cursor_;
    const std::uint64_t chain = chain_;
    const std::string end = place();
    if (::access(effects::path_of(directory_, number_ + 1).c_str(), F_OK) != 0) {
        if (taken_away()) {
            failed_ = true;
            fault_ = end + ": the file was taken away while it was read";
            return false;
        }
        fault_ = left == 0 ? "" : end + ": bytes that are not valid (yet): a torn tail";
        return false;
    }
    // The writer may have gone on in this file and rolled since we looked. It rolls only when
    // this file is whole, so one more look is final.
    if (frame_here().ok()) {
        return true;
    }
    left = window_used_;
    if (!open_number(number_ + 1, header).ok()) {
        fault_ = effects::path_of(directory_, number_ + 1) + ": its header is not valid (yet)";
        return false;
    }
    if (left == 0 && header.begins_anew != 0 && header.mark.seq > here.seq) {
        failed_ = lost_ = true;
        cursor_ = here;
        fault_ = "the effects of records " + std::to_string(here.seq.value + 1) + " to " +
                 std::to_string(header.mark.seq.value) + " are lost: the log begins anew in " +
                 effects::path_of(directory_, number_) + ". Rebuild the store";
        return false;
    }
    if (left != 0 || header.previous_chain != chain || header.mark.seq != here.seq) {
        (void)corrupt("does not follow " + end + ", which " +
                      (left != 0 ? "is damaged there" : "ends otherwise"));
        return false;
    }
    return true;
}

/// Removed, or another one in its place: by retention, which outran us, or by hand. No successor
/// will ever come to it.
bool EffectsReader::taken_away() const noexcept {
    struct stat ours{};
    struct stat there{};
    if (::fstat(fd_, &ours) != 0) {
        return false;
    }
    if (::stat(effects::path_of(directory_, number_).c_str(), &there) != 0) {
        return errno == ENOENT;
    }
    return ours.st_ino != there.st_ino || ours.st_dev != there.st_dev;
}

bool EffectsReader::valid_behind_fault() const {
    std::vector<std::byte> window(kWindowBytes);
    std::uint64_t at = offset_ + kFrameAlign;
    while (!fault_.empty() && fd_ >= 0) {
        const auto got = effects::read_at(fd_, at, window);
        for (std::int64_t i = 0; i < got; i += std::int64_t{kFrameAlign}) {
            const auto rest =
                std::span<const std::byte>{window}.first(static_cast<std::size_t>(got));
            if (parse_frame(rest.subspan(static_cast<std::size_t>(i))).ok()) {
                return true;
            }
        }
        if (got < static_cast<std::int64_t>(window.size())) {
            break;
        }
        at += static_cast<std::uint64_t>(got) - kFrameBytesMax;  // a frame may lie across the edge
    }
    return false;
}

std::string EffectsReader::place() const {
    return effects::path_of(directory_, number_) + ", offset " + std::to_string(offset_);
}

EffectStatus EffectsReader::corrupt(const std::string& what) {
    failed_ = true;
    fault_ = place() + ": " + what +
             ". Remove the effects files and rebuild the stores from the journal";
    return EffectStatus::Corrupt;
}

}  // namespace millrace
