#include "core/crash_point.h"
#include "persist/effects_files.h"
#include "persist/file_preparer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::size_t kFrameBytesMax = frame_bytes(sizeof(Effect));

std::uint64_t size_of(int fd) noexcept {
    struct stat info{};
    return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

EffectsWriter::EffectsWriter(const std::string& directory, const Options& options)
    : directory_{directory}, options_{options}, buffer_(kBufferBytes) {}

EffectsWriter::~EffectsWriter() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

EffectsWriter::EffectsWriter(EffectsWriter&& other) noexcept {
    *this = std::move(other);
}

EffectsWriter& EffectsWriter::operator=(EffectsWriter&& other) noexcept {
    directory_ = std::move(other.directory_);
    options_ = other.options_;
    buffer_ = std::move(other.buffer_);
    buffered_ = std::exchange(other.buffered_, 0);
    std::swap(fd_, other.fd_);
    number_ = other.number_;
    file_bytes_ = other.file_bytes_;
    chain_ = other.chain_;
    written_ = other.written_;
    last_ = other.last_;
    mark_ = other.mark_;
    file_begin_ = other.file_begin_;
    cut_ = std::move(other.cut_);
    failed_ = other.failed_;
    return *this;
}

Result<EffectsWriter> EffectsWriter::open(const std::string& directory, const Options& options,
                                          std::string& message) {
    EffectsWriter writer{directory, options};
    auto numbers = effects::list(directory);
    if (!numbers) {
        message = directory + ": " + numbers.error().what + " (" +
                  std::strerror(numbers.error().sys_errno) + ")";
        return numbers.error();
    }
    auto& all = numbers.value();
    const auto leave_out = [&](const std::string& path, const char* why) {
        ::close(std::exchange(writer.fd_, -1));
        writer.cut_ = path + why;
        ::unlink(path.c_str());
        all.pop_back();
    };
    while (!all.empty()) {
        const std::string path = effects::path_of(directory, all.back());
        writer.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (writer.fd_ < 0) {
            message = path + ": " + std::strerror(errno);
            return effects::failed("effects log: cannot open a file");
        }
        const auto header = effects::read_header(writer.fd_, all.back());
        if (header.ok() && header.value().mark.seq.value >= options.upto) {
            leave_out(path, ": removed, it may not be on the disk");
            continue;
        }
        if (header.ok()) {
            writer.number_ = all.back();
            writer.chain_ = header.value().previous_chain;
            writer.written_ = header.value().effects_before;
            writer.mark_ = header.value().mark;
            writer.file_begin_ = header.value().mark;
            writer.last_ = {header.value().mark.seq.value, ~std::uint32_t{0}};
            if (auto found = writer.find_end(message); !found) {
                return found.error();
            }
            return writer;
        }
        const bool half_made = size_of(writer.fd_) <= sizeof(EffectsHeader);
        if (header.code() == Errc::BadVersion || !half_made) {
            message = path + ": " + header.error().what +
                      ". Remove the effects files and rebuild the stores from the journal";
            return header.error();
        }
        // A crash while it was made: nothing was in it.
        leave_out(path, ": removed, it had no header yet");
    }
    return writer;
}

// Walks the last file; what is not valid at its end was never given to anybody as complete, and
// what is behind `upto` is written anew.
Status EffectsWriter::find_end(std::string& message) {
    const std::string path = effects::path_of(directory_, number_);
    const std::uint64_t size = size_of(fd_);
    std::uint64_t at = sizeof(EffectsHeader);
    while (at < size) {
        const auto got = effects::read_at(fd_, at, buffer_);
        if (got < 0) {
            message = path + ": " + std::strerror(errno);
            return effects::failed("effects log: cannot read a file");
        }
        std::span<const std::byte> rest{buffer_.data(), static_cast<std::size_t>(got)};
        std::size_t used = 0;
        for (;;) {
            const auto frame = parse_frame(rest.subspan(used));
            if (!frame || frame.value().chain != chain_next(chain_, frame.value().payload)) {
                break;
            }
            if (frame.value().kind == FrameKind::Effect) {
                Effect effect;
                std::memcpy(&effect, frame.value().payload.data(), sizeof(effect));
                if (effect.seq.value > options_.upto) {
                    break;
                }
                last_ = {effect.seq.value, effect.k};
                ++written_;
            } else {
                std::memcpy(&mark_, frame.value().payload.data(), sizeof(mark_));
            }
            chain_ = frame.value().chain;
            used += frame.value().bytes;
        }
        if (used == 0) {
            break;
        }
        at += used;
    }
    file_bytes_ = at;
    if (at == size) {
        return ok_status();
    }
    cut_ = path + ": cut off " + std::to_string(size - at) + " bytes of a torn tail at offset " +
           std::to_string(at);
    if (::ftruncate(fd_, static_cast<off_t>(at)) != 0 || ::fsync(fd_) != 0) {
        message = path + ": cannot cut its torn tail: " + std::strerror(errno);
        return effects::failed("effects log: cannot cut a torn tail");
    }
    return ok_status();
}

Status EffectsWriter::begin_anew(const LogCursor& mark, bool whole) noexcept {
    if (mark.seq <= mark_.seq) {
        return ok_status();
    }
    if (auto flushed = flush(); !flushed) {
        return flushed;
    }
    mark_ = mark;
    last_ = {mark.seq.value, ~std::uint32_t{0}};
    if (auto opened = open_file(mark.seq.value + 1, whole ? 2 : 1); !opened) {
        return opened;
    }
    return sync();  // there at once: whoever follows the log must not wait for what is lost
}

Status EffectsWriter::open_file(std::uint64_t first_seq, std::uint64_t begins_anew) noexcept {
    ASSERT(buffered_ == 0);
    if (fd_ >= 0) {
        // The last file is flushed before there is a next one: only the newest can have a tail.
        if (::fsync(fd_) != 0) {
            return fail("effects log: cannot flush a file");
        }
        ::close(std::exchange(fd_, -1));
    }
    ++number_;
    const std::string path = effects::path_of(directory_, number_);
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0) {
        return fail("effects log: cannot create a file");
    }
    EffectsHeader header;
    header.number = number_;
    header.first_seq = first_seq;
    header.effects_before = written_;
    header.previous_chain = chain_;
    header.mark = mark_;
    header.begins_anew = begins_anew;
    header.header_hash = effects::hash_of(header);
    file_begin_ = mark_;
    std::memcpy(buffer_.data(), &header, sizeof(header));
    buffered_ = sizeof(header);
    file_bytes_ = 0;
    if (auto synced = sync_directory(directory_); !synced) {
        failed_ = true;
        return synced;
    }
    return ok_status();
}

Status EffectsWriter::append(const Effect& effect) noexcept {
    const EffectId id{effect.seq.value, effect.k};
    if (id <= last_) {
        return ok_status();
    }
    const bool roll = file_bytes_ + buffered_ >= options_.file_bytes &&
                      mark_.seq.value >= last_.seq;  // a record's effects stay in one file
    if (fd_ < 0 || roll) {
        if (auto flushed = flush(); !flushed) {
            return flushed;
        }
        if (auto opened = open_file(id.seq); !opened) {
            return opened;
        }
    }
    if (auto put_it = put(FrameKind::Effect, std::as_bytes(std::span{&effect, 1})); !put_it) {
        return put_it;
    }
    last_ = id;
    ++written_;
    return ok_status();
}

Status EffectsWriter::end_of_record(const LogCursor& at) noexcept {
    if (last_.seq != at.seq.value || mark_.seq >= at.seq) {
        return ok_status();  // it had no effects, or the mark is there already
    }
    if (auto put_it = put(FrameKind::Mark, std::as_bytes(std::span{&at, 1})); !put_it) {
        return put_it;
    }
    mark_ = at;
    return ok_status();
}

Status EffectsWriter::put(FrameKind kind, std::span<const std::byte> payload) noexcept {
    if (buffered_ + kFrameBytesMax > buffer_.size()) {
        if (auto flushed = flush(); !flushed) {
            return flushed;
        }
    }
    if (failed_) {
        return {Errc::Poisoned, "effects log: an earlier write failed"};
    }
    chain_ = chain_next(chain_, payload);
    put_frame(std::span{buffer_}.subspan(buffered_), kind, chain_, payload);
    buffered_ += frame_bytes(payload.size());
    return ok_status();
}

Status EffectsWriter::flush() noexcept {
    if (failed_) {
        return {Errc::Poisoned, "effects log: an earlier write failed"};
    }
    std::size_t done = 0;
    while (done < buffered_) {
        const ssize_t put = ::pwrite(fd_, buffer_.data() + done, buffered_ - done,
                                     static_cast<off_t>(file_bytes_ + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return fail("effects log: a write failed");
        }
        done += static_cast<std::size_t>(put);
        MILLRACE_CRASH_POINT("effects.after_write");
    }
    file_bytes_ += buffered_;
    buffered_ = 0;
    return ok_status();
}

Status EffectsWriter::sync() noexcept {
    if (auto flushed = flush(); !flushed) {
        return flushed;
    }
    if (fd_ >= 0 && ::fdatasync(fd_) != 0) {
        return fail("effects log: a flush failed");
    }
    return ok_status();
}

Status EffectsWriter::fail(const char* what) noexcept {
    failed_ = true;
    return effects::failed(what);
}

Result<Sequence> EffectsWriter::retain(Sequence keep_from, std::uint64_t bytes_max) {
    auto numbers = effects::list(directory_);
    if (!numbers) {
        return numbers.error();
    }
    struct Kept {
        std::uint64_t number, first_seq, bytes;
    };
    std::vector<Kept> files;
    std::uint64_t total = 0;
    for (const std::uint64_t number : numbers.value()) {
        const int fd = ::open(effects::path_of(directory_, number).c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return effects::failed("effects log: cannot open a file");
        }
        const auto header = effects::read_header(fd, number);
        files.push_back({number, header.ok() ? header.value().first_seq : 0, size_of(fd)});
        total += files.back().bytes;
        ::close(fd);
    }
    std::size_t gone = 0;
    while (gone + 1 < files.size() && files[gone].number < number_ &&
           (files[gone + 1].first_seq <= keep_from.value || total > bytes_max)) {
        if (::unlink(effects::path_of(directory_, files[gone].number).c_str()) != 0) {
            return effects::failed("effects log: cannot remove an old file");
        }
        total -= files[gone].bytes;
        ++gone;
    }
    return Sequence{files.empty() ? 0 : files[gone].first_seq};
}

}  // namespace millrace
