#include "persist/effects_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>

namespace millrace {
namespace effects {

Error failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

std::string path_of(const std::string& directory, std::uint64_t number) {
    char text[64];
    std::snprintf(text, sizeof(text), "/effects-%010llu.mre",
                  static_cast<unsigned long long>(number));
    return directory + text;
}

Result<std::vector<std::uint64_t>> list(const std::string& directory) {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) {
        return failed("effects log: cannot list its directory");
    }
    std::vector<std::uint64_t> numbers;
    while (const dirent* entry = ::readdir(dir)) {
        const std::string_view name = entry->d_name;
        std::uint64_t number = 0;
        const bool framed =
            name.size() == 22 && name.starts_with("effects-") && name.ends_with(".mre");
        if (framed &&
            std::from_chars(name.data() + 8, name.data() + 18, number).ptr == name.data() + 18) {
            numbers.push_back(number);
        }
    }
    ::closedir(dir);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

std::int64_t read_at(int fd, std::uint64_t offset, std::span<std::byte> out) noexcept {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got =
            ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    return static_cast<std::int64_t>(done);
}

std::uint64_t hash_of(const EffectsHeader& header) noexcept {
    return XXH3_64bits(&header, offsetof(EffectsHeader, header_hash));
}

Result<EffectsHeader> read_header(int fd, std::uint64_t number) noexcept {
    EffectsHeader header;
    const auto got = read_at(fd, 0, std::as_writable_bytes(std::span{&header, 1}));
    if (got < 0) {
        return failed("effects log: cannot read a file");
    }
    if (got < static_cast<std::int64_t>(sizeof(header)) || header.magic != kEffectsMagic) {
        return {Errc::BadMagic, "effects log: no header"};
    }
    if (hash_of(header) != header.header_hash) {
        return {Errc::BadChecksum, "effects log: header damaged"};
    }
    if (header.version != kEffectsVersion || header.effect_bytes != sizeof(Effect)) {
        return {Errc::BadVersion, "effects log: file of another version"};
    }
    if (header.number != number) {
        return {Errc::BadLayout, "effects log: header names another file"};
    }
    return header;
}

}  // namespace effects

namespace {

/// Of the file behind which all that is left follows itself.
std::optional<EffectsHeader> begin_header(const std::string& directory) {
    const auto numbers = effects::list(directory);
    std::optional<EffectsHeader> begin;
    for (std::size_t i = 0; numbers && i < numbers.value().size(); ++i) {
        const std::uint64_t number = numbers.value()[i];
        const int fd = ::open(effects::path_of(directory, number).c_str(), O_RDONLY | O_CLOEXEC);
        const auto header = effects::read_header(fd, number);
        if (fd >= 0) {
            ::close(fd);
        }
        if (header && (!begin || header.value().begins_anew != 0)) {
            begin = header.value();
        } else if (!header && !begin) {
            return begin;
        }
    }
    return begin;
}

}  // namespace

std::optional<LogCursor> effects_begin(const std::string& directory) {
    const auto header = begin_header(directory);
    return header ? std::optional{header->mark} : std::nullopt;
}

bool effects_begin_whole(const std::string& directory) {
    const auto header = begin_header(directory);
    return header &&
           (header->begins_anew == 2 || (header->begins_anew == 0 && header->mark.seq.value == 0));
}

Status remove_effects(const std::string& directory) {
    const auto numbers = effects::list(directory);
    if (!numbers) {
        return numbers.error();
    }
    for (const std::uint64_t number : numbers.value()) {
        if (::unlink(effects::path_of(directory, number).c_str()) != 0 && errno != ENOENT) {
            return effects::failed("effects log: cannot remove a file");
        }
    }
    return ok_status();
}

}  // namespace millrace
