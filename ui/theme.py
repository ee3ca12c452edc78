"""How the page looks: Gradio's variables, the style sheet, the script. System fonts only; nothing is fetched from anywhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
FONTS = (
    "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial",
    "Noto Sans Bengali", "Nirmala UI", "Kohinoor Bangla", "Noto Color Emoji", "Apple Color Emoji", "Segoe UI Emoji", "sans-serif",
)  # fmt: skip
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Bengali", "Nirmala UI", "monospace")
TEXT = gr.themes.Size(name="shur", xxs="12px", xs="12px", sm="13px", md="15px", lg="15px", xl="21px", xxl="21px")


def theme() -> gr.themes.Base:
    """Gradio's own variables, pointed at those of theme.css wherever both exist, so that each colour is named once."""
    made = gr.themes.Base(font=FONTS, font_mono=MONO, text_size=TEXT, radius_size=gr.themes.sizes.radius_md)
    made.name = "shur"
    colours = {
        "body_background_fill": "var(--ground)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--soft)",
        "background_fill_primary": "var(--card)",
        "background_fill_secondary": "var(--quiet)",
        "border_color_primary": "var(--line)",
        "border_color_accent": "var(--accent)",
        "color_accent_soft": "var(--accent-soft)",
        "link_text_color": "var(--accent)",
        "link_text_color_hover": "var(--accent)",
        "link_text_color_active": "var(--accent)",
        "link_text_color_visited": "var(--accent)",
        "block_background_fill": "transparent",
        "block_info_text_color": "var(--soft)",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--ink)",
        "block_title_text_color": "var(--ink)",
        "panel_background_fill": "transparent",
        "input_background_fill": "var(--card)",
        "input_background_fill_focus": "var(--card)",
        "input_border_color": "var(--edge)",
        "input_border_color_focus": "var(--accent)",
        "input_placeholder_color": "var(--soft)",
        "checkbox_background_color": "var(--card)",
        "checkbox_background_color_selected": "var(--accent)",
        "checkbox_border_color": "var(--edge)",
        "checkbox_border_color_selected": "var(--accent)",
        "checkbox_border_color_focus": "var(--accent)",
        "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_hover": "transparent",
        "checkbox_label_background_fill_selected": "transparent",
        "checkbox_label_text_color": "var(--ink)",
        "checkbox_label_text_color_selected": "var(--ink)",
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent-strong)",
        "button_primary_text_color": "var(--on-accent)",
        "button_primary_text_color_hover": "var(--on-accent)",
        "button_primary_border_color": "var(--accent)",
        "button_secondary_background_fill": "var(--card)",
        "button_secondary_background_fill_hover": "var(--quiet)",
        "button_secondary_text_color": "var(--ink)",
        "button_secondary_text_color_hover": "var(--ink)",
        "button_secondary_border_color": "var(--edge)",
        "loader_color": "var(--accent)",
        "error_background_fill": "var(--bad-soft)",
        "error_text_color": "var(--bad)",
        "table_text_color": "var(--ink)",
        "accordion_text_color": "var(--ink)",
    }
    both = {
        **colours,
        **{f"{name}_dark": value for name, value in colours.items() if f"{name}_dark" in gr.themes.Base.set.__code__.co_varnames},
    }
    shapes = {
        "block_border_width": "0px",
        "block_padding": "0px",
        "block_shadow": "none",
        "block_label_border_width": "0px",
        "block_label_shadow": "none",
        "block_label_text_size": "13px",
        "block_label_text_weight": "600",
        "block_title_text_size": "13px",
        "block_title_text_weight": "600",
        "block_info_text_size": "13px",
        "form_gap_width": "0px",
        "layout_gap": "16px",
        "panel_border_width": "0px",
        "section_header_text_size": "15px",
        "input_padding": "8px 11px",
        "input_border_width": "1px",
        "input_text_size": "15px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "checkbox_label_border_width": "0px",
        "checkbox_label_padding": "0px",
        "checkbox_label_shadow": "none",
        "button_large_text_size": "15px",
        "button_large_padding": "11px 18px",
        "button_large_text_weight": "600",
        "button_medium_text_size": "15px",
        "button_medium_padding": "8px 14px",
        "button_medium_text_weight": "500",
        "button_small_text_size": "13px",
        "button_small_text_weight": "500",
        "button_transform_active": "none",
        "button_transform_hover": "none",
    }
    made.set(**both, **shapes)
    made.custom_css = (HERE / "theme.css").read_text("utf-8")  # with the theme it reaches the login page too
    return made


def head() -> str:
    """What goes into the page's head: the script, so that the right place is shown from the first paint."""
    return f"<script>{(HERE / 'page.js').read_text('utf-8')}</script>"
