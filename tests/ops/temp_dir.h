// A folder of its own for one test, removed at its end.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace millrace::test {

class TempDir {
public:
    TempDir() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "millrace-ops-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempDir() {
        std::error_code none;
        std::filesystem::remove_all(path_, none);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }

    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(
            std::filesystem::path{path_ + "/" + name}.parent_path());
        std::ofstream{path_ + "/" + name, std::ios::binary} << text;
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

}  // namespace millrace::test
