// A file with given text, removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace millrace::market::test {

class TempFile {
public:
    TempFile(const std::string& name, std::string_view text, bool gzip = false) {
        std::string pattern = (std::filesystem::temp_directory_path() / "market_XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
        path_ = (dir_ / name).string();
        const gzFile file = gzopen(path_.c_str(), gzip ? "wb" : "wbT");
        EXPECT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())),
                  static_cast<int>(text.size()));
        gzclose(file);
    }
    ~TempFile() {
        std::error_code ignored;  // a directory that stays behind fails no test
        std::filesystem::remove_all(dir_, ignored);
    }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::filesystem::path dir_;
    std::string path_;
};

}  // namespace millrace::market::test
