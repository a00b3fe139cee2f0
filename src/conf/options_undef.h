/* conf/options_undef.h - ends one expansion of options.def (no include guard: included after each). */
#undef US_SECTION_BEGIN
#undef US_SECTION_END
#undef US_RECORD_BEGIN
#undef US_RECORD_END
#undef US_BOOL
#undef US_INT
#undef US_F64
#undef US_TEXT
#undef US_CHOICE
#undef US_TEXTS
#undef US_INTS
#undef US_TEXTMAP
#undef US_RECORDS
#undef US_RECORDMAP
