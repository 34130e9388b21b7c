#include "tools/millrace/id_book.h"

#include "core/types.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

namespace millrace {
namespace {

using nlohmann::json;
/// 2: has "retired". A build that knows 1 would give a retired id away again.
constexpr unsigned kVersion = 2;
constexpr auto kCurrencies = static_cast<std::size_t>(NameKind::Currency);
using Retired = std::vector<std::pair<std::uint32_t, std::string>>;
constexpr const char* kKeys[kNameKinds] = {"symbols", "groups", "accounts", "sources",
                                           "currencies"};

std::string book_path(const std::string& journal_dir) {
    return journal_dir + "/ids.json";
}

Error fail(std::string& message, const std::string& text, int sys_errno) {
    message = text + ": " + std::strerror(sys_errno);
    return {sys_errno == ENOSPC || sys_errno == EDQUOT ? Errc::NoSpace : Errc::IoError, sys_errno,
            "replace file"};
}

/// True if records were written here, or that cannot be told.
bool has_log(const std::string& journal_dir) {
    std::error_code error;
    const std::filesystem::directory_iterator files{journal_dir, error};
    if (error) {
        return error.value() != ENOENT;
    }
    return std::any_of(begin(files), end(files),
                       [](const auto& file) { return file.path().extension() == ".mrj"; });
}

bool write_all(int fd, const std::string& text) noexcept {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        done += static_cast<std::size_t>(n);
    }
    return true;
}

bool sync_folder_of(const std::string& path) noexcept {
    const std::string folder = std::filesystem::path{path}.parent_path().string();
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    return ok;
}

}  // namespace

Status replace_file(const std::string& path, const std::string& text, unsigned mode,
                    std::string& message) {
    const std::string temporary = path + ".tmp";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return fail(message, "cannot write " + temporary, errno);
    }
    const bool written = write_all(fd, text) && ::fsync(fd) == 0;
    const int why = errno;
    ::close(fd);
    if (!written) {
        ::unlink(temporary.c_str());
        return fail(message, "cannot write " + temporary, why);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0 || !sync_folder_of(path)) {
        return fail(message, "cannot put " + path + " in place", errno);
    }
    return ok_status();
}

Result<IdBook> IdBook::load(const std::string& journal_dir, std::string& message) {
    IdBook book;
    std::ifstream in{book_path(journal_dir)};
    if (!in) {
        const int why = errno;
        if (why == ENOENT && !has_log(journal_dir)) {
            return book;  // a new journal
        }
        // An empty book would give the names other numbers than the log's orders have.
        message = "cannot read " + book_path(journal_dir) + " (" + std::strerror(why) +
                  ") and the journal beside it is not empty; put back a copy of it: ids in the "
                  "journal mean nothing without it. To begin anew choose another \"journal.dir\" "
                  "and another \"magic_tag\"";
        return {Errc::IoError, "id book", why};
    }
    try {
        const json doc = json::parse(in);
        for (std::size_t kind = 0; kind < kNameKinds; ++kind) {
            if (kind == kCurrencies && !doc.contains(kKeys[kind])) {
                continue;  // of an older build, which numbered them by their place: so are these
            }
            book.names_[kind] = doc.at(kKeys[kind]).get<std::map<std::string, std::uint32_t>>();
        }
        book.members_ = doc.at("members").get<std::set<Member>>();
        if (const auto version = doc.at("version").get<unsigned>(); version > kVersion) {
            message = book_path(journal_dir) + " is of version " + std::to_string(version) +
                      ", this build knows " + std::to_string(kVersion) + "; use the newer build";
            return {Errc::BadVersion, "id book"};
        }
        for (std::size_t kind = 0; kind < kNameKinds && doc.contains("retired"); ++kind) {
            if (kind == kCurrencies) {
                break;  // none is ever retired
            }
            for (const auto& [id, name] : doc.at("retired").at(kKeys[kind]).get<Retired>()) {
                book.retired_[kind].emplace(id, name);
            }
        }
    } catch (const json::exception& e) {
        message = book_path(journal_dir) + " is damaged (" + e.what() +
                  "); put back a copy of it: ids in the journal mean nothing without it";
        return {Errc::BadInput, "id book"};
    }
    return book;
}

Status IdBook::save(const std::string& journal_dir, std::string& message) const {
    json doc;
    bool any_retired = false;
    json retired;
    for (std::size_t kind = 0; kind < kNameKinds; ++kind) {
        doc[kKeys[kind]] = names_[kind];
        retired[kKeys[kind]] = Retired{retired_[kind].begin(), retired_[kind].end()};
        any_retired = any_retired || !retired_[kind].empty();
    }
    doc["version"] = any_retired ? kVersion : 1;
    if (any_retired) {
        doc["retired"] = retired;
    }
    doc["members"] = members_;
    return replace_file(book_path(journal_dir), doc.dump(1) + "\n", 0600, message);
}

std::uint32_t IdBook::assign(NameKind kind, const std::string& name) {
    auto& names = names_[static_cast<std::size_t>(kind)];
    // Every id ever given stands in one of the two, so together they number the next.
    const std::size_t next = names.size() + retired_[static_cast<std::size_t>(kind)].size();
    return names.emplace(name, static_cast<std::uint32_t>(next)).first->second;
}

void IdBook::put_back(NameKind kind, std::uint32_t id, const std::string& name, bool retired) {
    const auto of_kind = static_cast<std::size_t>(kind);
    if (retired) {
        retired_[of_kind].emplace(id, name);
    } else {
        names_[of_kind].emplace(name, id);
    }
}

void IdBook::retire(NameKind kind, const std::string& name) {
    const std::uint32_t id = find(kind, name);
    if (id == kNoId) {
        return;
    }
    names_[static_cast<std::size_t>(kind)].erase(name);
    retired_[static_cast<std::size_t>(kind)].emplace(id, name);
    std::erase_if(members_, [&](const Member& m) {
        return (kind == NameKind::Group && m.first == id) ||
               (kind == NameKind::Account && m.second == id);
    });
}

std::uint32_t IdBook::find(NameKind kind, const std::string& name) const {
    const auto& known = names(kind);
    const auto at = known.find(name);
    return at == known.end() ? kNoId : at->second;
}

std::string IdBook::name_of(NameKind kind, std::uint32_t id) const {
    for (const auto& [name, known] : names(kind)) {
        if (known == id) {
            return name;
        }
    }
    const auto& retired = retired_[static_cast<std::size_t>(kind)];
    const auto at = retired.find(id);
    return at == retired.end() ? std::string{} : at->second;
}

}  // namespace millrace
