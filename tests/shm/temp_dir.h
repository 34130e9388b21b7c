// A directory of the test's own, removed at its end.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace millrace::test {

class TempDir {
public:
    TempDir() : TempDir{std::filesystem::temp_directory_path()} {}
    explicit TempDir(const std::filesystem::path& parent) {
        std::string name = (parent / "millrace-shm-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::filesystem::filesystem_error{"mkdtemp " + name,
                                                    {errno, std::generic_category()}};
        }
        path_ = name;
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] std::string str() const { return path_.string(); }
    [[nodiscard]] std::string file(const std::string& name) const {
        return (path_ / name).string();
    }

private:
    std::filesystem::path path_;
};

}  // namespace millrace::test
