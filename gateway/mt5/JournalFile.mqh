// The intent journal's file: records with a checksum, appended; read back as a whole.
//
// A record: 0 crc32c u32 over what follows, 4 bytes u16 (head and body), 6 kind u8, 7 version u8,
// then the body. Records wait in memory until flush(): nothing may leave the terminal before it.
// MQL5 cannot shorten a file, so what a death has torn is never cut off: the journal is then
// written anew into the other one of its two files (Journal.mqh).

#include "Wire.mqh"

#define RECORD_HEAD_BYTES 8
#define RECORD_BYTES_MAX 512
// What a death in the middle of one flush can leave behind unreadable; more than that is damage.
#define TORN_BYTES_MAX 65536

class JournalFile
{
private:
    int handle_;
    uchar waiting_[];
    int waiting_bytes_;
    ulong size_;
    bool failed_;

public:
    JournalFile()
    {
        handle_ = INVALID_HANDLE;
        waiting_bytes_ = 0;
        size_ = 0;
        failed_ = false;
    }

    bool is_open() { return handle_ != INVALID_HANDLE; }
    bool failed() { return failed_; }
    ulong size() { return size_; }

    /// Opens or creates `name`; nobody else can have it open. What is in it comes back in `bytes`.
    bool open(const string name, const bool common, uchar &bytes[])
    {
        int flags = FILE_READ | FILE_WRITE | FILE_BIN;
        if (common)
            flags |= FILE_COMMON;
        handle_ = FileOpen(name, flags);
        if (handle_ == INVALID_HANDLE)
            return false;
        waiting_bytes_ = 0;
        failed_ = false;
        size_ = FileSize(handle_);
        ArrayResize(bytes, 0);
        if (size_ > 0)
        {
            FileSeek(handle_, 0, SEEK_SET);
            if (FileReadArray(handle_, bytes, 0, WHOLE_ARRAY) != (uint)size_)
            {
                close();
                return false;
            }
        }
        FileSeek(handle_, 0, SEEK_END);
        return true;
    }

    void close()
    {
        if (handle_ != INVALID_HANDLE)
            FileClose(handle_);
        handle_ = INVALID_HANDLE;
    }

    /// Adds a record with body_bytes of `body`. It is in the file only after flush().
    void append(const int kind, const uchar &body[], const int body_bytes)
    {
        int bytes = RECORD_HEAD_BYTES + body_bytes;
        uchar record[];
        ArrayResize(record, bytes);
        put_u16(record, 4, bytes);
        put_u8(record, 6, kind);
        put_u8(record, 7, 1);
        for (int i = 0; i < body_bytes; i++)
            record[RECORD_HEAD_BYTES + i] = body[i];
        put_u32(record, 0, crc32c(record, 4, bytes - 4));
        if (ArraySize(waiting_) < waiting_bytes_ + bytes)
            ArrayResize(waiting_, waiting_bytes_ + bytes, 8192);
        for (int i = 0; i < bytes; i++)
            waiting_[waiting_bytes_ + i] = record[i];
        waiting_bytes_ += bytes;
    }

    /// Everything appended is in the file. A failure is final: a file that lost a record once must
    /// not be trusted with the next.
    bool flush()
    {
        if (failed_)
            return false;
        if (waiting_bytes_ == 0)
            return true;
        ResetLastError();
        uint written = FileWriteArray(handle_, waiting_, 0, waiting_bytes_);
        if (written != (uint)waiting_bytes_)
        {
            failed_ = true;
            return false;
        }
        FileFlush(handle_);
        // FileFlush itself tells nothing.
        if (GetLastError() != 0 || FileSize(handle_) != size_ + (ulong)waiting_bytes_)
        {
            failed_ = true;
            return false;
        }
        size_ += (ulong)waiting_bytes_;
        waiting_bytes_ = 0;
        return true;
    }
};

/// Length of the intact record at `at`; 0 = there is none.
int record_at(const uchar &bytes[], const int at, const int end)
{
    if (end - at < RECORD_HEAD_BYTES)
        return 0;
    int record_bytes = get_u16(bytes, at + 4);
    if (record_bytes < RECORD_HEAD_BYTES || record_bytes > RECORD_BYTES_MAX ||
        record_bytes > end - at)
        return 0;
    if (crc32c(bytes, at + 4, record_bytes - 4) != get_u32(bytes, at))
        return 0;
    return record_bytes;
}
