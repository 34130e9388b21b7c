// The intent journal's other half: its records, reading them back, and the change of files.

#include "Journal.mqh"

#define INTENT_BYTES (24 + COMMAND_BYTES + EVENT_BYTES)

void Journal::write_number(const int kind, const ulong number)
{
    uchar b[8];
    put_u64(b, 0, number);
    file_.append(kind, b, 8);
}

void Journal::write_session()
{
    uchar b[40];
    put_u64(b, 0, generation);
    put_u64(b, 8, epoch);
    put_u64(b, 16, command_epoch);
    put_u64(b, 24, command_seq);
    put_u64(b, 32, magic_tag);
    file_.append(REC_SESSION, b, 40);
}

/// When the computer was started, by its wall clock and its own count since.
long boot_s() { return (long)TimeGMT() - (long)(GetTickCount64() / 1000); }

void Journal::write_boot()
{
    boot_s_ = boot_s();
    write_number(REC_BOOT, (ulong)boot_s_);
}

/// FileFlush is no documented disk barrier: what was flushed is safe from the death of the program
/// and of the terminal, not from that of the computer. A tail that was cut, or a computer that was
/// started again without an orderly end of this program, may have taken the newest records along.
bool Journal::may_have_lost_records()
{
    bool restarted = MathAbs((double)(boot_s() - boot_s_)) > BOOT_SLACK_S;
    return torn_bytes_ > 0 || (restarted && !found_clean_);
}

void Journal::write_intact()
{
    uchar b[9];
    put_u64(b, 0, floor_intent);
    put_u8(b, 8, intact);
    file_.append(REC_INTACT, b, 9);
}

/// RECEIVED leaves out what there is not yet: state and answer.
void Journal::write_intent(const int kind, const Intent &intent)
{
    uchar b[INTENT_BYTES];
    put_u64(b, 0, intent.seq);
    put_i64(b, 8, intent.received_ns);
    put_u64(b, 16, (ulong)intent.state);
    put_command(b, 24, intent.command);
    put_event(b, 24 + COMMAND_BYTES, intent.answer);
    file_.append(kind, b, (kind == REC_RECEIVED) ? 24 + COMMAND_BYTES : INTENT_BYTES);
}

void Journal::write_confirmed(const Intent &intent)
{
    uchar b[32];
    put_u64(b, 0, intent.command.magic);
    put_u64(b, 8, intent.is_confirmed ? 1 : 0);
    put_u64(b, 16, intent.order);
    put_u64(b, 24, intent.deal);
    file_.append(REC_CONFIRMED, b, 32);
}

/// @param others deals that it tells of besides its own, in the record as far as they fit.
void Journal::write_event(const ulong seq, const ulong answers, const Event &event,
                          const ulong &others[])
{
    uchar b[16 + EVENT_BYTES + 8 * DEALS_LISTED_MAX];
    int n = MathMin(ArraySize(others), DEALS_LISTED_MAX);
    put_u64(b, 0, seq);
    put_u64(b, 8, answers);
    put_event(b, 16, event);
    for (int i = 0; i < n; i++)
        put_u64(b, 16 + EVENT_BYTES + 8 * i, others[i]);
    file_.append(REC_EVENT, b, 16 + EVENT_BYTES + 8 * n);
}

/// In one record: with half of what belongs together the other half would be told. And each by
/// itself behind it: a list has an end, and an older version reads none.
void Journal::remember_deals(const ulong &tickets[])
{
    uchar b[8 * DEALS_LISTED_MAX];
    int n = MathMin(ArraySize(tickets), DEALS_LISTED_MAX);
    for (int i = 0; i < n; i++)
        put_u64(b, 8 * i, tickets[i]);
    if (n > 1)
        file_.append(REC_DEAL, b, 8 * n);
    for (int i = 0; i < ArraySize(tickets); i++)
        remember_deal(tickets[i]);
}

// -- reading -------------------------------------------------------------------------------------

/// @return "" or what is wrong.
string Journal::replay(const int kind, const uchar &b[], const int at, const int bytes)
{
    ulong first = (bytes >= 8) ? get_u64(b, at) : 0;
    found_clean_ = kind == REC_CLEAN;
    switch (kind)
    {
        case REC_IDENTITY:
            if (bytes != 36 || get_u64(b, at + 8) != g_config.login ||
                get_u32(b, at + 32) != text_crc(g_config.server))
                return "it belongs to another account";
            id = first;
            created_ns = get_i64(b, at + 16);
            file_number_ = get_u64(b, at + 24);
            return "";
        case REC_SESSION:
            generation = first;
            epoch = get_u64(b, at + 8);
            command_epoch = get_u64(b, at + 16);
            command_seq = get_u64(b, at + 24);
            magic_tag = get_u64(b, at + 32);
            return "";
        case REC_RECEIVED:
        case REC_INTENT:
        {
            Intent intent;
            intent.seq = first;
            intent.received_ns = get_i64(b, at + 8);
            intent.state = (int)get_u64(b, at + 16);
            intent.received_ms = 0;
            intent.answered_ms = 0;
            intent.is_confirmed = false;
            intent.order = 0;
            intent.deal = 0;
            intent.stops_over = false;
            get_command(b, at + 24, intent.command);
            clear_event(intent.answer);
            if (kind == REC_INTENT)
                get_event(b, at + 24 + COMMAND_BYTES, intent.answer);
            keep_intent(intent);
            if (kind == REC_RECEIVED)
                command_seq = first;
            return "";
        }
        case REC_SENDING:
        {
            int i = find(first);
            if (i >= 0)
                intents_[i].state = INTENT_SENDING;
            return "";
        }
        case REC_CONFIRMED:
        {
            int i = find(first);
            if (i < 0)
                return "";
            intents_[i].is_confirmed = get_u64(b, at + 8) != 0;
            intents_[i].order = get_u64(b, at + 16);
            intents_[i].deal = get_u64(b, at + 24);
            return "";
        }
        case REC_STOPS_OVER:
        {
            int i = find(first);
            if (i >= 0)
                intents_[i].stops_over = true;
            return "";
        }
        case REC_EVENT:
        {
            Event event;
            get_event(b, at + 16, event);
            keep_event(first, get_u64(b, at + 8), event);
            for (int i = 16 + EVENT_BYTES; i + 8 <= bytes; i += 8)
                deals.add(get_u64(b, at + i));
            return "";
        }
        case REC_EVENT_ACK: forget_events(first); return "";
        case REC_RENUMBER: renumber(first); return "";
        case REC_KILL:
        {
            Kill kill;
            get_kill(b, at, kill);
            keep_kill(kill);
            return "";
        }
        case REC_INTACT:
            floor_intent = first;
            intact = get_u8(b, at + 8);
            return "";
        case REC_COMMAND_SEQ: command_seq = first; return "";
        case REC_COUNTERS: event_seq = first; return "";
        case REC_DEAL:
            for (int i = 0; i + 8 <= bytes; i += 8)
                deals.add(get_u64(b, at + i));
            return "";
        case REC_ORDER: orders.add(first); return "";
        case REC_SCANNED: scanned_s = (long)first; return "";
        case REC_BASELINE:
            has_baseline = true;
            deals.raise_floor(first);
            orders.raise_floor(get_u64(b, at + 8));
            scanned_s = get_i64(b, at + 16);
            return "";
        case REC_COMPLETE: found_complete_ = true; return "";
        case REC_BOOT: boot_s_ = (long)first; return "";
        case REC_CLEAN: return "";
    }
    return "a record is of a kind that this version does not know; install the newer version again";
}

string Journal::load(const uchar &bytes[])
{
    reset();
    found_complete_ = false;
    int end = ArraySize(bytes);
    int at = 0;
    int record_bytes = record_at(bytes, at, end);
    while (record_bytes > 0)
    {
        string wrong = replay(get_u8(bytes, at + 6), bytes, at + RECORD_HEAD_BYTES,
                              record_bytes - RECORD_HEAD_BYTES);
        if (wrong != "")
            return wrong;
        at += record_bytes;
        record_bytes = record_at(bytes, at, end);
    }
    torn_bytes_ = end - at;
    // Whole records behind an unreadable one: no death does that.
    int readable = 0;
    for (int probe = at + 1; probe < end && readable == 0; probe++)
        readable = record_at(bytes, probe, end);
    if (readable > 0 || torn_bytes_ > TORN_BYTES_MAX)
        return "a record inside was changed; move the files away and start again: everything "
               "unanswered is then looked up in the account";
    return "";
}

// -- writing anew --------------------------------------------------------------------------------

/// The whole state into the file of `number`, which becomes the journal by its last record.
string Journal::write_state(const ulong number)
{
    uchar old[];
    string name = file_name(number);
    file_.close();
    // Left by a death in the middle of this, or of two rewrites ago.
    int where = g_config.common ? FILE_COMMON : 0;
    if (FileIsExist(name, where) && !FileDelete(name, where))
        return StringFormat("%s: cannot be deleted (error %d)", name, GetLastError());
    if (!file_.open(name, g_config.common, old))
        return StringFormat("%s: cannot be created (error %d)", name, GetLastError());
    file_number_ = number;
    uchar b[36];
    put_u64(b, 0, id);
    put_u64(b, 8, g_config.login);
    put_i64(b, 16, created_ns);
    put_u64(b, 24, number);
    put_u32(b, 32, text_crc(g_config.server));
    file_.append(REC_IDENTITY, b, 36);
    if (has_baseline)
        remember_baseline(0, 0, scanned_s);
    for (int i = 0; i < deals.count(); i++)
        write_number(REC_DEAL, deals.at(i));
    for (int i = 0; i < orders.count(); i++)
        write_number(REC_ORDER, orders.at(i));
    for (int i = 0; i < count_; i++)
    {
        write_intent(REC_INTENT, intents_[i]);
        if (intents_[i].is_confirmed || intents_[i].order != 0)
            write_confirmed(intents_[i]);
        if (intents_[i].stops_over)
            write_number(REC_STOPS_OVER, magics_[i]);
    }
    ulong none[];
    for (int i = events_begin_; i < events_end_; i++)
        write_event(events_[i].seq, 0, events_[i].event, none);
    write_number(REC_COUNTERS, event_seq);
    write_session();
    for (int i = 0; i < ArraySize(kills_); i++)
    {
        uchar k[KILL_BYTES];
        put_kill(k, 0, kills_[i]);
        file_.append(REC_KILL, k, KILL_BYTES);
    }
    write_intact();
    write_boot();
    write_number(REC_COMPLETE, number);
    if (!file_.flush())
        return StringFormat("%s: cannot be written (error %d)", name, GetLastError());
    return "";
}

/// Random, never 0. MathRand gives 15 bits at a time.
ulong new_journal_id()
{
    MathSrand((int)(GetMicrosecondCount() ^ (ulong)TimeLocal() ^ (g_config.login << 7)));
    ulong v = 0;
    for (int i = 0; i < 5; i++)
        v = (v << 13) ^ (ulong)MathRand();
    return (v ^ ((ulong)TimeGMT() << 20)) | 1;
}

/// The file before stays until the next change, which takes its place: should a power cut take the
/// new one, it is the journal again, a suspect one, and not none.
string Journal::compact() { return write_state(file_number_ + 1); }

/// Loads or creates. @return "" or what is wrong, for a human.
string Journal::open(const string base)
{
    base_ = base;
    int where = g_config.common ? FILE_COMMON : 0;
    lock_ = FileOpen(base_ + ".lock", FILE_READ | FILE_WRITE | FILE_BIN | where);
    if (lock_ == INVALID_HANDLE)
        return StringFormat("%s.lock: error %d: another chart or terminal serves this account",
                            base_, GetLastError());
    uchar bytes[];
    ulong best = 0;
    for (ulong number = 1; number <= 2; number++)
    {
        if (!FileIsExist(file_name(number), where))
            continue;
        JournalFile one;
        if (!one.open(file_name(number), g_config.common, bytes))
            return StringFormat("%s: cannot be read (error %d)", file_name(number), GetLastError());
        one.close();
        string wrong = load(bytes);
        if (wrong != "")
            return file_name(number) + ": " + wrong;
        if (!found_complete_)
            continue;  // the rewrite that made it did not come to its end
        if (file_number_ > best)
            best = file_number_;
    }
    if (best == 0)
    {
        reset();
        id = new_journal_id();
        created_ns = wall_ns();
        return write_state(1);
    }
    JournalFile chosen;
    if (!chosen.open(file_name(best), g_config.common, bytes))
        return StringFormat("%s: cannot be read (error %d)", file_name(best), GetLastError());
    chosen.close();
    string damage = load(bytes);
    if (damage != "")
        return file_name(best) + ": " + damage;
    bool lossy = may_have_lost_records();
    if (lossy)
        intact = INTACT_SUSPECT;  // written with whatever is written next
    if (torn_bytes_ > 0)
    {
        damage = compact();
        if (damage != "")
            return damage;
    }
    else
    {
        uchar again[];
        if (!file_.open(file_name(best), g_config.common, again))
            return StringFormat("%s: cannot be opened (error %d)", file_name(best), GetLastError());
    }
    if (lossy)
    {
        PrintFormat("millrace: %s: the newest records may be lost (%d bytes torn): everything that "
                    "it does not know is looked up in the account",
                    file_name(best), torn_bytes_);
        write_intact();
    }
    write_boot();  // it has not ended in order any more, also if a change of files goes wrong
    if (!file_.flush())
        return file_name(best) + ": cannot be written";
    return (file_.size() > COMPACT_ABOVE_BYTES) ? compact() : "";
}

void Journal::close()
{
    if (file_.is_open())
        write_number(REC_CLEAN, 0);
    file_.flush();
    file_.close();
    if (lock_ != INVALID_HANDLE)
        FileClose(lock_);
    lock_ = INVALID_HANDLE;
}

Journal g_journal;
